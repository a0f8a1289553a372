// The way that one packet would take: RTM_GETROUTE without NLM_F_DUMP, as `ip route get` asks (inet_rtm_getroute,
// inet6_rtm_getroute). The kernel answers by all of its tables and rules.

import { ADDRESS_BITS, IpAddress } from '../ip/address.ts'
import { type Request, readKnown, request } from '../netlink/request.ts'
import { addressFamily, RTM_GETROUTE, RTM_NEWROUTE } from './attributes.ts'
import type { IfIndex } from './link.ts'

export interface RouteQuery {
  readonly dst: IpAddress
  readonly source?: IpAddress
  /** As if it came in by this link: then the kernel looks at rp_filter, too, and for IPv4 at forwarding. */
  readonly from?: IfIndex
}

export interface Way {
  /** `local`: it is for this namespace itself; `other`: broadcast, multicast and the like. */
  readonly kind: 'unicast' | 'local' | 'other'
  readonly dev: IfIndex
  readonly gateway?: IpAddress
  /** What the kernel sends as, when the query says nothing of where the packet is from. */
  readonly source?: IpAddress
}

const KINDS: Readonly<Record<number, Way['kind']>> = { 1: 'unicast', 2: 'local' }

export function lookUpRouteRequest({ dst, source, from }: RouteQuery): Request {
  const bits = ADDRESS_BITS[dst.family]
  const words = [
    `ip route get ${dst}`,
    ...(source === undefined ? [] : [`from ${source}`]),
    ...(from === undefined ? [] : [`iif #${from}`]),
  ]
  return request(RTM_GETROUTE, {
    header: {
      rtm_family: addressFamily[dst.family],
      rtm_dst_len: bits,
      rtm_src_len: source === undefined ? 0 : bits,
    },
    attributes: {
      RTA_DST: dst.toBytes(),
      RTA_SRC: source?.toBytes(),
      RTA_IIF: from,
    },
    operation: words.join(' '),
  })
}

export function readWay(payload: Uint8Array, { source, from }: RouteQuery): Way {
  const { header, attributes: a } = readKnown(RTM_NEWROUTE, payload)
  const isOwn = source === undefined && from === undefined
  return {
    kind: KINDS[header.rtm_type] ?? 'other',
    dev: (a.RTA_OIF ?? 0) as IfIndex,
    ...(a.RTA_GATEWAY === undefined ? {} : { gateway: IpAddress.fromBytes(a.RTA_GATEWAY) }),
    ...(isOwn && a.RTA_PREFSRC !== undefined ? { source: IpAddress.fromBytes(a.RTA_PREFSRC) } : {}),
  }
}
