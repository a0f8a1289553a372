// The config of `cni-macvlan`, and what it comes to.

import { macFields, requestedMac } from '../../lib/attach/mac-fields.ts'
import { findParentProblem as findProblem, getParent, requireMtu } from '../../lib/attach/parent-link.ts'
import type { Problem } from '../../lib/attach/readiness.ts'
import type { LinkSpec, SingleLink } from '../../lib/attach/single-link.ts'
import { modeField, stackedFields, stackedNetconf } from '../../lib/attach/stacked-fields.ts'
import { requireKnownArgs } from '../../lib/cni/args.ts'
import type { Request } from '../../lib/cni/request.ts'
import { decode, integer, object, parsed, string } from '../../lib/cni/schema.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { type MacAddress, macForAddress, macFromRandom, parseMac } from '../../lib/ip/mac.ts'
import { Prefix } from '../../lib/ip/prefix.ts'

export const PLUGIN = 'cni-macvlan'

export const netconfSchema = object({
  ...stackedFields,
  mode: modeField(
    'macvlan',
    ['bridge', 'private', 'vepa', 'passthru'],
    'who of the pods on one link hears whom',
  ),
  mac: parsed(string({ doc: 'MAC address of the pod’s interface' }), parseMac),
  bcqueuelen: integer({
    min: 0,
    max: 0xffff_ffff,
    doc: 'broadcasts that may wait to be copied; 0: the kernel’s default',
  }),
  ...macFields,
})

export function parse({ kernel, random }: Ports, request: Request): SingleLink {
  const {
    mode = 'bridge',
    bcqueuelen,
    mac: own,
    runtimeConfig,
    args,
    ...fields
  } = decode(netconfSchema, request.netconf)
  const { ipam, dns, master, mtu, inPod } = stackedNetconf(fields, PLUGIN)
  // IP and GATEWAY are for the IPAM plugin: one CNI_ARGS serves both.
  if (request.command !== 'STATUS') requireKnownArgs(request.args, ['MAC', 'IP', 'GATEWAY'])
  const asked = requestedMac(request, { runtimeConfig, args }) ?? own
  return {
    ipam,
    dns,
    async plan(pod, leased) {
      const parent = await getParent((inPod ? pod : kernel.host).rtnl, master)
      requireMtu(mtu, parent)
      const address = leased?.result.ips?.[0]?.address
      // One that is given the whole link takes its MAC, too.
      const mac = asked ?? (mode === 'passthru' ? undefined : makeMac(address, random))
      const spec: LinkSpec = {
        kind: 'macvlan',
        mode,
        ...(mac === undefined ? {} : { mac }),
        ...(mtu === 0 ? {} : { mtu }),
        ...(bcqueuelen === 0 ? {} : { broadcastQueueLength: bcqueuelen }),
      }
      return { spec, parent: { index: parent.index, inPod } }
    },
  }
}

/** Known beforehand, so that udev and others leave it alone. */
function makeMac(address: string | undefined, random: Ports['random']): MacAddress {
  return address === undefined ? macFromRandom(random(6)) : macForAddress(Prefix.parse(address).address)
}

export function findParentProblem(ports: Ports, request: Request): Promise<Problem[]> {
  const { master, linkInContainer } = decode(netconfSchema, request.netconf)
  return linkInContainer ? Promise.resolve([]) : findProblem(ports.kernel.host.rtnl, master)
}
