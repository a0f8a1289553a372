// A pod that upstream's plugin limited, and whose DEL comes to us: the intermediate link does not go with the pod.

import type { Request } from '../../lib/cni/request.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { unlessGone } from '../../lib/netlink/error.ts'
import { DETOUR_PREFIX } from './limits.ts'

const MAX_NAME_LENGTH = 15

/** Ours have an alias. */
export async function removeUpstreamDetour(ports: Ports, request: Request): Promise<void> {
  const { rtnl } = ports.kernel.host
  const links = await rtnl.listLinks({ kind: 'ifb' })
  const candidates = links.filter(({ name, alias }) => name.startsWith(DETOUR_PREFIX) && alias === undefined)
  if (candidates.length === 0) return // most often; node:crypto takes milliseconds to load
  const name = upstreamName(request)
  const detour = candidates.find((link) => link.name === name)
  if (detour !== undefined) await rtnl.apply({ change: 'delete link', link: detour.index }).catch(unlessGone)
}

/** One name for all interfaces of a container in a network. */
function upstreamName({ name, containerId }: Request): string {
  const { createHash } = process.getBuiltinModule('node:crypto')
  const digest = createHash('sha512').update(`${name}${containerId}`).digest('hex')
  return `${DETOUR_PREFIX}${digest}`.slice(0, MAX_NAME_LENGTH)
}
