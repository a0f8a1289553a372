// The limits of one attachment: planned from the config, recorded, made, compared, taken back (lib/attach/chained.ts).

import type { ChainedPlugin } from '../../lib/attach/chained.ts'
import { getHostEnd } from '../../lib/attach/prev-result.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { atLeast } from '../../lib/cni/versions.ts'
import { attachmentKey } from '../../lib/host/attachment-key.ts'
import { ownerText } from '../../lib/host/owner.ts'
import { openPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { type RandomBytes, toHex } from '../../lib/host/random.ts'
import { macFromRandom } from '../../lib/ip/mac.ts'
import { NetlinkError } from '../../lib/netlink/error.ts'
import type { Link } from '../../lib/rtnl/link.ts'
import { bucketOf, type Rate } from '../../lib/shaping/bucket.ts'
import { compareShaping, makeShaping, removeShaping, type Shaping } from '../../lib/shaping/shaping.ts'
import { findMissingFeatures } from '../../lib/shaping/shaping-support.ts'
import { parseNetconf } from './netconf.ts'

export const PLUGIN = 'cni-bandwidth'

/** Upstream's prefix: tools that count such links find ours, too. */
export const DETOUR_PREFIX = 'bwp'

export const limits: ChainedPlugin<Shaping> = {
  plugin: PLUGIN,
  async plan(ports, request, prevResult) {
    const { ingress, egress } = parseNetconf(request)
    if (ingress === undefined && egress === undefined) return undefined
    const host = await findHostEnd(ports, request, prevResult)
    return {
      host: { name: host.name, index: host.index },
      ingress: ingress === undefined ? null : bucketOf(ingress, host.mtu),
      egress: egress === undefined ? null : planDetour(request, { rate: egress, host, random: ports.random }),
    }
  },
  async make(ports, request, { record, prevResult }) {
    const { rtnl } = ports.kernel.host
    await makeShaping(rtnl, record).catch((error: unknown) => explain(ports, record, error))
    return withDetour(request, record, prevResult)
  },
  compare: (ports, _, { record }) => compareShaping(ports.kernel.host.rtnl, record),
  takeBack: (ports, _, record) => removeShaping(ports.kernel.host.rtnl, record),
}

async function findHostEnd(ports: Ports, request: Request, result: Result): Promise<Link> {
  const pod = openPodNamespace(ports.kernel, request)
  try {
    return await getHostEnd(ports.kernel, { request, pod, result })
  } finally {
    pod.close()
  }
}

/** A random name cannot be another attachment's, as one made of network and container could. */
function planDetour(
  request: Request,
  { rate, host, random }: { rate: Rate; host: Link; random: RandomBytes },
): Shaping['egress'] {
  return {
    name: `${DETOUR_PREFIX}${toHex(random(6))}`,
    mac: macFromRandom(random(6)),
    mtu: host.mtu,
    alias: ownerText(attachmentKey(PLUGIN, request)),
    bucket: bucketOf(rate, host.mtu),
  }
}

/** As upstream does, the intermediate link is told of. */
function withDetour({ cniVersion }: Request, { egress }: Shaping, result: Result): Result {
  if (egress === null) return result
  const { name, mac, mtu } = egress
  const detour = { name, mac, ...(atLeast(cniVersion, '1.1.0') ? { mtu } : {}) }
  return { ...result, interfaces: [...(result.interfaces ?? []), detour] }
}

/** What the kernel's refusal is about, and what can be done, is for people to be told. */
async function explain(ports: Ports, { host }: Shaping, cause: unknown): Promise<never> {
  if (!(cause instanceof NetlinkError)) throw cause
  const details = await remedyOf(ports, host.name, cause.code)
  throw new CniError(CNI_CODE.internal, cause.message, { details, cause })
}

async function remedyOf({ kernel }: Ports, ifname: string, code: string): Promise<string> {
  if (code === 'EEXIST') return `another program shapes or filters ${ifname}: tc qdisc show dev ${ifname}`
  if (code !== 'ENOENT' && code !== 'EOPNOTSUPP') return ''
  const missing = await findMissingFeatures(kernel.host.rtnl)
  if (missing.length > 0) return missing.map(({ remedy }) => remedy).join('; ')
  return 'the filter needs a kernel with CONFIG_NET_CLS_U32 (modprobe cls_u32)'
}
