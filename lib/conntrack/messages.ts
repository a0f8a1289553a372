// ctnetlink's messages and attributes, as far as addresses and ports go (linux/netfilter/nfnetlink_conntrack.h).

import { attributeTable, nested } from '../netlink/attributes.ts'
import { be16, be32, bytes, u8, u32 } from '../netlink/codecs.ts'
import { type Nfgenmsg, nfgenmsg } from '../netlink/nfnetlink.ts'
import type { MessageKind } from '../netlink/request.ts'

const NFNL_SUBSYS_CTNETLINK = 1

const CTA_IP = attributeTable({
  CTA_IP_V4_SRC: [1, bytes],
  CTA_IP_V4_DST: [2, bytes],
  CTA_IP_V6_SRC: [3, bytes],
  CTA_IP_V6_DST: [4, bytes],
})

export const CTA_PROTO = attributeTable({
  CTA_PROTO_NUM: [1, u8],
  CTA_PROTO_SRC_PORT: [2, be16],
  CTA_PROTO_DST_PORT: [3, be16],
})

/** What no table knows (ICMP's numbers, zones) is kept, and sent back as it came. */
const CTA_TUPLE = attributeTable({
  CTA_TUPLE_IP: [1, nested(() => CTA_IP)],
  CTA_TUPLE_PROTO: [2, nested(() => CTA_PROTO)],
})

/** Since Linux 5.8. Before, a dump takes no notice of it. */
const CTA_FILTER = attributeTable({
  CTA_FILTER_ORIG_FLAGS: [1, u32],
  CTA_FILTER_REPLY_FLAGS: [2, u32],
})
/** CTA_FILTER_FLAG(CTA_IP_SRC) */
export const FILTER_IP_SRC = 1
/** CTA_FILTER_FLAG(CTA_PROTO_NUM) | CTA_FILTER_FLAG(CTA_PROTO_DST_PORT) */
export const FILTER_PROTO_DST_PORT = 0x28

export const CTA = attributeTable({
  CTA_TUPLE_ORIG: [1, nested(() => CTA_TUPLE)],
  CTA_TUPLE_REPLY: [2, nested(() => CTA_TUPLE)],
  CTA_ID: [12, be32],
  CTA_ZONE: [18, be16],
  CTA_FILTER: [25, nested(() => CTA_FILTER)],
})

function kind(name: string, message: number) {
  const type = (NFNL_SUBSYS_CTNETLINK << 8) | message
  return { name, type, header: nfgenmsg, attributes: CTA } satisfies MessageKind<Nfgenmsg, typeof CTA>
}

export const IPCTNL_MSG_CT_NEW = kind('IPCTNL_MSG_CT_NEW', 0)
export const IPCTNL_MSG_CT_GET = kind('IPCTNL_MSG_CT_GET', 1)
export const IPCTNL_MSG_CT_DELETE = kind('IPCTNL_MSG_CT_DELETE', 2)

/** For traces. */
export const CTNETLINK_KINDS = [IPCTNL_MSG_CT_NEW] as unknown as readonly MessageKind[]
