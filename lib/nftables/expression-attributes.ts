// The attributes of the expressions that rules are made of (linux/netfilter/nf_tables.h), by expression name.

import {
  type AttributeForm,
  type Attributes,
  attributeTable,
  nested,
  selected,
} from '../netlink/attributes.ts'
import { be32, be64, bytes, string, u8 } from '../netlink/codecs.ts'

const NFTA_VERDICT = attributeTable({
  NFTA_VERDICT_CODE: [1, be32],
  NFTA_VERDICT_CHAIN: [2, string],
})

/** A value, or a verdict. */
export const NFTA_DATA = attributeTable({
  NFTA_DATA_VALUE: [1, bytes],
  NFTA_DATA_VERDICT: [2, nested(() => NFTA_VERDICT)],
})

const data = nested(() => NFTA_DATA)

const EXPRESSIONS = {
  payload: attributeTable({
    NFTA_PAYLOAD_DREG: [1, be32],
    NFTA_PAYLOAD_BASE: [2, be32],
    NFTA_PAYLOAD_OFFSET: [3, be32],
    NFTA_PAYLOAD_LEN: [4, be32],
  }),
  meta: attributeTable({
    NFTA_META_DREG: [1, be32],
    NFTA_META_KEY: [2, be32],
    NFTA_META_SREG: [3, be32],
  }),
  cmp: attributeTable({
    NFTA_CMP_SREG: [1, be32],
    NFTA_CMP_OP: [2, be32],
    NFTA_CMP_DATA: [3, data],
  }),
  range: attributeTable({
    NFTA_RANGE_SREG: [1, be32],
    NFTA_RANGE_OP: [2, be32],
    NFTA_RANGE_FROM_DATA: [3, data],
    NFTA_RANGE_TO_DATA: [4, data],
  }),
  bitwise: attributeTable({
    NFTA_BITWISE_SREG: [1, be32],
    NFTA_BITWISE_DREG: [2, be32],
    NFTA_BITWISE_LEN: [3, be32],
    NFTA_BITWISE_MASK: [4, data],
    NFTA_BITWISE_XOR: [5, data],
    NFTA_BITWISE_OP: [6, be32],
  }),
  lookup: attributeTable({
    NFTA_LOOKUP_SET: [1, string],
    NFTA_LOOKUP_SREG: [2, be32],
    NFTA_LOOKUP_DREG: [3, be32],
    NFTA_LOOKUP_SET_ID: [4, be32],
    NFTA_LOOKUP_FLAGS: [5, be32],
  }),
  immediate: attributeTable({
    NFTA_IMMEDIATE_DREG: [1, be32],
    NFTA_IMMEDIATE_DATA: [2, data],
  }),
  counter: attributeTable({
    NFTA_COUNTER_BYTES: [1, be64],
    NFTA_COUNTER_PACKETS: [2, be64],
  }),
  ct: attributeTable({
    NFTA_CT_DREG: [1, be32],
    NFTA_CT_KEY: [2, be32],
    NFTA_CT_DIRECTION: [3, u8],
    NFTA_CT_SREG: [4, be32],
  }),
  fib: attributeTable({
    NFTA_FIB_DREG: [1, be32],
    NFTA_FIB_RESULT: [2, be32],
    NFTA_FIB_FLAGS: [3, be32],
  }),
  masq: attributeTable({
    NFTA_MASQ_FLAGS: [1, be32],
    NFTA_MASQ_REG_PROTO_MIN: [2, be32],
    NFTA_MASQ_REG_PROTO_MAX: [3, be32],
  }),
  nat: attributeTable({
    NFTA_NAT_TYPE: [1, be32],
    NFTA_NAT_FAMILY: [2, be32],
    NFTA_NAT_REG_ADDR_MIN: [3, be32],
    NFTA_NAT_REG_ADDR_MAX: [4, be32],
    NFTA_NAT_REG_PROTO_MIN: [5, be32],
    NFTA_NAT_REG_PROTO_MAX: [6, be32],
    NFTA_NAT_FLAGS: [7, be32],
  }),
  /** What iptables-nft writes where nft has no words of its own: a match of x_tables, with its C structure. */
  match: attributeTable({
    NFTA_MATCH_NAME: [1, string],
    NFTA_MATCH_REV: [2, be32],
    NFTA_MATCH_INFO: [3, bytes],
  }),
  target: attributeTable({
    NFTA_TARGET_NAME: [1, string],
    NFTA_TARGET_REV: [2, be32],
    NFTA_TARGET_INFO: [3, bytes],
  }),
} as const

export type ExpressionName = keyof typeof EXPRESSIONS
export type ExpressionData<N extends ExpressionName> = Attributes<(typeof EXPRESSIONS)[N]>

const FORMS: Readonly<Record<string, AttributeForm<unknown>>> = Object.fromEntries(
  Object.entries(EXPRESSIONS).map(([name, table]) => [name, nested(() => table)]),
)

export const NFTA_EXPR = attributeTable({
  NFTA_EXPR_NAME: [1, string],
  NFTA_EXPR_DATA: [2, selected<object>('NFTA_EXPR_NAME', () => FORMS)],
})
