// The config of `cni-vlan`, and what it comes to.

import { findParentProblem as findProblem, getParent, requireMtu } from '../../lib/attach/parent-link.ts'
import type { Problem } from '../../lib/attach/readiness.ts'
import type { SingleLink } from '../../lib/attach/single-link.ts'
import { stackedFields, stackedNetconf } from '../../lib/attach/stacked-fields.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { checkedLater, decode, integer, object } from '../../lib/cni/schema.ts'
import type { Ports } from '../../lib/host/ports.ts'

export const PLUGIN = 'cni-vlan'
const MAX_VID = 4094

export const netconfSchema = object({
  ...stackedFields,
  vlanId: checkedLater(integer({ doc: 'the VLAN; 0: frames that have a priority and no VLAN' }), {
    min: 0,
    max: MAX_VID,
  }),
})

export function parse({ kernel }: Ports, request: Request): SingleLink {
  const { vlanId, ...fields } = decode(netconfSchema, request.netconf)
  const { ipam, dns, master, mtu, inPod } = stackedNetconf(fields, PLUGIN)
  if (master === '')
    throw invalid('"master" field is required. It specifies the host interface name to create the VLAN for')
  if (vlanId < 0 || vlanId > MAX_VID)
    throw invalid(`invalid VLAN ID ${vlanId} (must be between 0 and 4095 inclusive)`)
  return {
    ipam,
    dns,
    async plan(pod) {
      const parent = await getParent((inPod ? pod : kernel.host).rtnl, master)
      requireMtu(mtu, parent)
      const spec = { kind: 'vlan', vlanId, ...(mtu === 0 ? {} : { mtu }) } as const
      return { spec, parent: { index: parent.index, inPod } }
    },
  }
}

function invalid(message: string): CniError {
  return new CniError(CNI_CODE.invalidNetconf, message)
}

export function findParentProblem(ports: Ports, request: Request): Promise<Problem[]> {
  const { master, linkInContainer } = decode(netconfSchema, request.netconf)
  return linkInContainer ? Promise.resolve([]) : findProblem(ports.kernel.host.rtnl, master)
}
