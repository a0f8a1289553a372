// The config of `cni-ipvlan`, and what it comes to.

import { findParentProblem as findProblem, getParent, requireMtu } from '../../lib/attach/parent-link.ts'
import type { Problem } from '../../lib/attach/readiness.ts'
import type { SingleLink } from '../../lib/attach/single-link.ts'
import { modeField, stackedFields, stackedNetconf } from '../../lib/attach/stacked-fields.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { decode, object } from '../../lib/cni/schema.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const PLUGIN = 'cni-ipvlan'

export const netconfSchema = object({
  ...stackedFields,
  mode: modeField('ipvlan', ['l2', 'l3', 'l3s'], 'where it is decided which pod a packet is for'),
})

/** In a chain it takes link and addresses from the plugin before, where the config has none. */
export function parse({ kernel }: Ports, request: Request): SingleLink {
  const { mode = 'l2', ...fields } = decode(netconfSchema, request.netconf)
  const { ipam, dns, master, mtu, inPod } = stackedNetconf(fields, PLUGIN)
  const given = request.command === 'ADD' && ipam === '' ? request.prevResult : undefined
  if (request.command !== 'STATUS' && ipam === '' && (request.prevResult?.ips ?? []).length === 0)
    throw new CniError(CNI_CODE.invalidNetconf, 'no plugin name provided', {
      details: 'ipam.type: an ipvlan network needs addresses',
    })
  return {
    ipam,
    dns,
    ...(given === undefined ? {} : { given }),
    async plan(pod) {
      const parent = await getParent((inPod ? pod : kernel.host).rtnl, master || chainedMaster(request))
      requireMtu(mtu, parent)
      const spec = { kind: 'ipvlan', mode, ...(mtu === 0 ? {} : { mtu }) } as const
      return { spec, parent: { index: parent.index, inPod } }
    },
  }
}

/** @returns '' when it is the first of its chain */
function chainedMaster({ prevResult }: Request): string {
  if (prevResult === undefined) return ''
  const [only, more] = prevResult.interfaces ?? []
  if (only?.name && more === undefined) return only.name
  throw new CniError(
    CNI_CODE.invalidNetconf,
    'chained master failure. PrevResult lacks a single named interface',
  )
}

export function findParentProblem(ports: Ports, request: Request): Promise<Problem[]> {
  const { master, linkInContainer } = decode(netconfSchema, request.netconf)
  return linkInContainer ? Promise.resolve([]) : findProblem(ports.kernel.host.rtnl, master)
}
