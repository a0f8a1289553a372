// Whether the running kernel knows a kind of link, qdisc or action. It is asked to make one in a way that it refuses:
// it looks the kind up first, and loads the module that has it.

import type { NetlinkError } from '../netlink/error.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import { type Request, request } from '../netlink/request.ts'
import { RTM_NEWLINK } from './attributes.ts'
import { LOOPBACK_INDEX } from './link.ts'
import { INGRESS_HANDLE } from './qdisc.ts'
import { RTM_NEWACTION, RTM_NEWQDISC, TC_H } from './traffic-attributes.ts'

/** `link ifb`, `qdisc tbf`, `action mirred`. */
export type KernelFeature = `${'link' | 'qdisc' | 'action'} ${string}`

/** What the kernel says when it does not know the kind. */
const UNKNOWN = { link: 'EOPNOTSUPP', qdisc: 'ENOENT', action: 'ENOENT' } as const
/** What it says of what is wrong on purpose; or there is such a qdisc on loopback already. */
const KNOWN = ['EINVAL', 'EEXIST']

const flags = NLM_F_CREATE | NLM_F_EXCL
/** No interface can have this name. */
const NO_NAME = '/'

/** @param refusal  of the request. @returns undefined when it is about neither */
export function isKnownKind(feature: KernelFeature, refusal: NetlinkError): boolean | undefined {
  if (KNOWN.includes(refusal.code)) return true
  const [what = 'link'] = feature.split(' ') as (keyof typeof UNKNOWN)[]
  return refusal.code === UNKNOWN[what] ? false : undefined
}

export function probeRequest(feature: KernelFeature): Request {
  const [what = '', kind = ''] = feature.split(' ')
  const operation = `look for ${feature}`
  switch (what) {
    case 'link':
      return request(RTM_NEWLINK, {
        flags,
        attributes: { IFLA_IFNAME: NO_NAME, IFLA_LINKINFO: { IFLA_INFO_KIND: kind } },
        operation,
      })
    case 'qdisc':
      return request(RTM_NEWQDISC, {
        flags,
        header: {
          tcm_ifindex: LOOPBACK_INDEX,
          ...(kind === 'ingress'
            ? { tcm_parent: TC_H.ingress, tcm_handle: INGRESS_HANDLE }
            : { tcm_parent: TC_H.root }),
        },
        // A size table without its base (qdisc_get_stab).
        attributes: { TCA_KIND: kind, TCA_STAB: new Uint8Array() },
        operation,
      })
    default:
      // Without its parameters.
      return request(RTM_NEWACTION, {
        flags,
        attributes: { TCA_ROOT_TAB: { first: { TCA_ACT_KIND: kind } } },
        operation,
      })
  }
}
