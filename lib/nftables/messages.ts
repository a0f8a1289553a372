// nf_tables' messages over nfnetlink (linux/netfilter/nfnetlink.h). Changes travel in a batch: between its begin
// and its end, all are done or none.

import type { AttributeTable } from '../netlink/attributes.ts'
import { attributeTable } from '../netlink/attributes.ts'
import { be32 } from '../netlink/codecs.ts'
import { type Nfgenmsg, nfgenmsg } from '../netlink/nfnetlink.ts'
import type { MessageKind } from '../netlink/request.ts'
import { NFTA_CHAIN, NFTA_RULE, NFTA_SET, NFTA_SET_ELEM_LIST, NFTA_TABLE } from './attributes.ts'

export const NFNL_SUBSYS_NFTABLES = 10

/** The family of a table, as `nft` names it; the numbers are the kernel's NFPROTO_*. */
export const NFPROTO = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const
export type NftFamily = keyof typeof NFPROTO

function kind<const T extends AttributeTable>(name: string, message: number, attributes: T) {
  const type = (NFNL_SUBSYS_NFTABLES << 8) | message
  return { name, type, header: nfgenmsg, attributes } satisfies MessageKind<Nfgenmsg, T>
}

const NFNL_BATCH = attributeTable({ NFNL_BATCH_GENID: [1, be32] })

export const NFNL_MSG_BATCH_BEGIN = {
  name: 'NFNL_MSG_BATCH_BEGIN',
  type: 0x10,
  header: nfgenmsg,
  attributes: NFNL_BATCH,
}
export const NFNL_MSG_BATCH_END = { ...NFNL_MSG_BATCH_BEGIN, name: 'NFNL_MSG_BATCH_END', type: 0x11 }

/** The messages about one kind of object. `DESTROY` is a delete that takes absence well (Linux 6.3). */
export const MESSAGES = {
  table: {
    NEW: kind('NFT_MSG_NEWTABLE', 0, NFTA_TABLE),
    GET: kind('NFT_MSG_GETTABLE', 1, NFTA_TABLE),
    DEL: kind('NFT_MSG_DELTABLE', 2, NFTA_TABLE),
    DESTROY: kind('NFT_MSG_DESTROYTABLE', 26, NFTA_TABLE),
  },
  chain: {
    NEW: kind('NFT_MSG_NEWCHAIN', 3, NFTA_CHAIN),
    GET: kind('NFT_MSG_GETCHAIN', 4, NFTA_CHAIN),
    DEL: kind('NFT_MSG_DELCHAIN', 5, NFTA_CHAIN),
    DESTROY: kind('NFT_MSG_DESTROYCHAIN', 27, NFTA_CHAIN),
  },
  rule: {
    NEW: kind('NFT_MSG_NEWRULE', 6, NFTA_RULE),
    GET: kind('NFT_MSG_GETRULE', 7, NFTA_RULE),
    DEL: kind('NFT_MSG_DELRULE', 8, NFTA_RULE),
    DESTROY: kind('NFT_MSG_DESTROYRULE', 28, NFTA_RULE),
  },
  set: {
    NEW: kind('NFT_MSG_NEWSET', 9, NFTA_SET),
    GET: kind('NFT_MSG_GETSET', 10, NFTA_SET),
    DEL: kind('NFT_MSG_DELSET', 11, NFTA_SET),
    DESTROY: kind('NFT_MSG_DESTROYSET', 29, NFTA_SET),
  },
  element: {
    NEW: kind('NFT_MSG_NEWSETELEM', 12, NFTA_SET_ELEM_LIST),
    GET: kind('NFT_MSG_GETSETELEM', 13, NFTA_SET_ELEM_LIST),
    DEL: kind('NFT_MSG_DELSETELEM', 14, NFTA_SET_ELEM_LIST),
    DESTROY: kind('NFT_MSG_DESTROYSETELEM', 30, NFTA_SET_ELEM_LIST),
  },
} as const

const NFTA_GEN = attributeTable({ NFTA_GEN_ID: [1, be32] })

/** The number of the ruleset's generation, which every transaction of anybody in this namespace counts up. */
export const NFT_MSG_NEWGEN = kind('NFT_MSG_NEWGEN', 15, NFTA_GEN)
export const NFT_MSG_GETGEN = kind('NFT_MSG_GETGEN', 16, NFTA_GEN)

/** For traces. */
export const NF_TABLES_KINDS: readonly MessageKind[] = [
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFT_MSG_NEWGEN,
  NFT_MSG_GETGEN,
  ...Object.values(MESSAGES).flatMap((kinds) => Object.values(kinds)),
] as unknown as MessageKind[]

/** The name of a family's number. @throws RangeError for a family that `nft` has no name for */
export function familyName(nfproto: number): NftFamily {
  const entry = Object.entries(NFPROTO).find(([, number]) => number === nfproto)
  if (entry === undefined) throw new RangeError(`no nf_tables family ${nfproto}`)
  return entry[0] as NftFamily
}
