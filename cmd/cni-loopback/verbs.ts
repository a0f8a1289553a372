// The verbs of `cni-loopback`. What it makes is the state of one link that each namespace has from the beginning and to
// its end: nothing to record, and nothing left for GC.

import { lowerLoopback } from '../../lib/attach/pod-end.ts'
import { withUndo } from '../../lib/attach/undoing.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { findPodNamespace, openPodNamespace } from '../../lib/host/pod-namespace.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { LOOPBACK_INDEX } from '../../lib/rtnl/link.ts'

const LOOPBACK4 = Prefix.parse('127.0.0.0/8')
const LOOPBACK6 = Prefix.parse('::1/128')

/** In a chain it passes on what is there already. */
export async function add({ kernel }: Ports, request: Request): Promise<Result> {
  const pod = openPodNamespace(kernel, request)
  try {
    const addresses = await raise(pod)
    return request.prevResult ?? describe(request, addresses)
  } finally {
    pod.close()
  }
}

/** @returns the addresses that the kernel gives it */
async function raise(pod: Namespace): Promise<Prefix[]> {
  const { up } = await pod.rtnl.getLink(LOOPBACK_INDEX)
  return withUndo(async (undo) => {
    if (!up) {
      undo.push('set lo down', () => lowerLoopback(pod))
      await pod.rtnl.apply({ change: 'set link', link: LOOPBACK_INDEX, set: { up: true } })
    }
    return listAddresses(pod)
  })
}

/** The words are upstream's. @throws CniError 999 for an address that nobody should reach there */
async function listAddresses({ rtnl }: Namespace): Promise<Prefix[]> {
  const addresses = (await rtnl.listAddresses({ dev: LOOPBACK_INDEX })).map(({ prefix }) => prefix)
  const stranger = addresses.find(
    ({ family, address }) => !(family === 4 ? LOOPBACK4 : LOOPBACK6).contains(address),
  )
  if (stranger === undefined) return addresses
  const kind = stranger.family === 4 ? 'non-127' : 'non-loopback'
  throw new CniError(CNI_CODE.internal, `loopback interface found with ${kind} address "${stranger}"`, {
    details: 'somebody else has configured lo of this namespace',
  })
}

/** The first address of each family. */
function describe({ netns }: Request, addresses: readonly Prefix[]): Result {
  const own = ([4, 6] as const).flatMap((family) => addresses.find((one) => one.family === family) ?? [])
  return {
    interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: netns }],
    ips: own.map((address) => ({ address: String(address), interface: 0 })),
  }
}

export async function del({ kernel }: Ports, request: Request): Promise<void> {
  const pod = findPodNamespace(kernel, request)
  try {
    await pod?.rtnl.apply({ change: 'set link', link: LOOPBACK_INDEX, set: { up: false } })
  } finally {
    pod?.close()
  }
}

export async function check({ kernel }: Ports, request: Request): Promise<void> {
  const pod = openPodNamespace(kernel, request)
  try {
    const { up } = await pod.rtnl.getLink(LOOPBACK_INDEX)
    if (!up) throw new CniError(CNI_CODE.internal, 'loopback interface is down')
  } finally {
    pod.close()
  }
}
