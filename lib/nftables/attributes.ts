// The attributes of nf_tables objects (linux/netfilter/nf_tables.h). All integers are in network order.

import { attributeTable, nested, repeated } from '../netlink/attributes.ts'
import { be32, be64, bytes, string } from '../netlink/codecs.ts'
import { NFTA_DATA, NFTA_EXPR } from './expression-attributes.ts'

export const NFTA_TABLE = attributeTable({
  NFTA_TABLE_NAME: [1, string],
  NFTA_TABLE_FLAGS: [2, be32],
  NFTA_TABLE_USE: [3, be32],
  NFTA_TABLE_HANDLE: [4, be64],
  NFTA_TABLE_USERDATA: [6, bytes],
  NFTA_TABLE_OWNER: [7, be32],
})

export const NFTA_HOOK = attributeTable({
  NFTA_HOOK_HOOKNUM: [1, be32],
  NFTA_HOOK_PRIORITY: [2, be32],
  NFTA_HOOK_DEV: [3, string],
  NFTA_HOOK_DEVS: [4, nested(() => NFTA_DEVICES)],
})

const NFTA_DEVICES = attributeTable({ NFTA_DEVICE_NAME: [1, repeated(string)] })

export const NFTA_CHAIN = attributeTable({
  NFTA_CHAIN_TABLE: [1, string],
  NFTA_CHAIN_HANDLE: [2, be64],
  NFTA_CHAIN_NAME: [3, string],
  NFTA_CHAIN_HOOK: [4, nested(() => NFTA_HOOK)],
  NFTA_CHAIN_POLICY: [5, be32],
  NFTA_CHAIN_USE: [6, be32],
  NFTA_CHAIN_TYPE: [7, string],
  NFTA_CHAIN_FLAGS: [10, be32],
  NFTA_CHAIN_ID: [11, be32],
  NFTA_CHAIN_USERDATA: [12, bytes],
})

const NFTA_SET_FIELD = attributeTable({ NFTA_SET_FIELD_LEN: [1, be32] })
const NFTA_SET_FIELDS = attributeTable({ NFTA_LIST_ELEM: [1, repeated(nested(() => NFTA_SET_FIELD))] })

export const NFTA_SET_DESC = attributeTable({
  NFTA_SET_DESC_SIZE: [1, be32],
  NFTA_SET_DESC_CONCAT: [2, nested(() => NFTA_SET_FIELDS)],
})

export const NFTA_SET = attributeTable({
  NFTA_SET_TABLE: [1, string],
  NFTA_SET_NAME: [2, string],
  NFTA_SET_FLAGS: [3, be32],
  NFTA_SET_KEY_TYPE: [4, be32],
  NFTA_SET_KEY_LEN: [5, be32],
  NFTA_SET_DATA_TYPE: [6, be32],
  NFTA_SET_DATA_LEN: [7, be32],
  NFTA_SET_POLICY: [8, be32],
  NFTA_SET_DESC: [9, nested(() => NFTA_SET_DESC)],
  NFTA_SET_ID: [10, be32],
  NFTA_SET_TIMEOUT: [11, be64],
  NFTA_SET_GC_INTERVAL: [12, be32],
  NFTA_SET_USERDATA: [13, bytes],
  NFTA_SET_HANDLE: [16, be64],
  /** Of the kernel's choice (Linux 6.15): its name, and how many elements there are. */
  NFTA_SET_TYPE: [19, string],
  NFTA_SET_COUNT: [20, be32],
})

export const NFTA_SET_ELEM = attributeTable({
  NFTA_SET_ELEM_KEY: [1, nested(() => NFTA_DATA)],
  NFTA_SET_ELEM_DATA: [2, nested(() => NFTA_DATA)],
  NFTA_SET_ELEM_FLAGS: [3, be32],
  NFTA_SET_ELEM_TIMEOUT: [4, be64],
  NFTA_SET_ELEM_EXPIRATION: [5, be64],
  NFTA_SET_ELEM_USERDATA: [6, bytes],
  NFTA_SET_ELEM_KEY_END: [10, nested(() => NFTA_DATA)],
})

const NFTA_SET_ELEMS = attributeTable({ NFTA_LIST_ELEM: [1, repeated(nested(() => NFTA_SET_ELEM))] })

export const NFTA_SET_ELEM_LIST = attributeTable({
  NFTA_SET_ELEM_LIST_TABLE: [1, string],
  NFTA_SET_ELEM_LIST_SET: [2, string],
  NFTA_SET_ELEM_LIST_ELEMENTS: [3, nested(() => NFTA_SET_ELEMS)],
  NFTA_SET_ELEM_LIST_SET_ID: [4, be32],
})

const NFTA_EXPRESSIONS = attributeTable({ NFTA_LIST_ELEM: [1, repeated(nested(() => NFTA_EXPR))] })

export const NFTA_RULE = attributeTable({
  NFTA_RULE_TABLE: [1, string],
  NFTA_RULE_CHAIN: [2, string],
  NFTA_RULE_HANDLE: [3, be64],
  NFTA_RULE_EXPRESSIONS: [4, nested(() => NFTA_EXPRESSIONS)],
  NFTA_RULE_POSITION: [6, be64],
  NFTA_RULE_USERDATA: [7, bytes],
})
