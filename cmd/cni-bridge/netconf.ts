// The network config of `cni-bridge`: fields, defaults and contradictions.

import { isSelf } from '../../lib/attach/ipam.ts'
import { macFields, requestedMac } from '../../lib/attach/mac-fields.ts'
import type { PortVlans } from '../../lib/bridge/port-vlans.ts'
import { requireKnownArgs } from '../../lib/cni/args.ts'
import { isIfname } from '../../lib/cni/environment.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import { perConfig } from '../../lib/cni/per-config.ts'
import type { Request } from '../../lib/cni/request.ts'
import { dnsSchema } from '../../lib/cni/result.ts'
import {
  boolean,
  checkedLater,
  decode,
  type Infer,
  integer,
  object,
  type Schema,
  string,
} from '../../lib/cni/schema.ts'
import type { MacAddress } from '../../lib/ip/mac.ts'
import { PLUGIN } from './attachment.ts'
import { parseVlans, vlanField, vlanTrunkSchema } from './vlan-fields.ts'

const MAX_MTU = 65535

export const AUTO_MTU = 'auto'

const MASQUERADE_BACKENDS = ['', 'iptables', 'nftables']

function mtuField(doc: string): Schema<number | typeof AUTO_MTU> {
  const number = integer({ min: 0, max: MAX_MTU, doc })
  return {
    shape: { ...number.shape, values: [AUTO_MTU] },
    read: (value, path) => (value === AUTO_MTU ? AUTO_MTU : number.read(value, path)),
  }
}

export const netconfSchema = object({
  bridge: string({ default: 'cni0', doc: 'name of the bridge; made when it is not there' }),
  isGateway: boolean({
    doc: 'put the gateway address of each of the pod’s subnets on the bridge, and forward',
  }),
  isDefaultGateway: boolean({ doc: 'isGateway, and the pod’s default routes go there' }),
  forceAddress: boolean({ doc: 'remove other addresses from the bridge instead of refusing' }),
  ipMasq: boolean({ doc: 'let traffic that leaves the pod’s subnet appear under the node’s address' }),
  ipMasqBackend: checkedLater(string({ doc: 'accepted as upstream does; it is always nftables' }), {
    values: MASQUERADE_BACKENDS,
  }),
  mtu: mtuField(
    'MTU of the pod’s wire, and of a bridge that is made; 0: 1500; "auto": that of the node’s default routes',
  ),
  hairpinMode: boolean({ doc: 'a pod may reach itself through the bridge (its own Service)' }),
  promiscMode: boolean({ doc: 'set the bridge to promiscuous mode; not with hairpinMode' }),
  enabledad: boolean({ doc: 'check IPv6 addresses for duplicates (DAD), which takes seconds' }),
  portIsolation: boolean({ doc: 'isolated ports reach the gateway, but not each other' }),
  disableContainerInterface: boolean({ doc: 'leave the pod’s interface down; not with ipam' }),
  vlan: vlanField,
  vlanTrunk: vlanTrunkSchema,
  preserveDefaultVlan: boolean({ doc: 'the pod’s port stays in the bridge’s default VLAN, too' }),
  macspoofchk: boolean({ doc: 'drop frames that the pod sends from another MAC than its own' }),
  dns: dnsSchema,
  ipam: object({ type: string({ doc: 'the IPAM plugin; without it the pod gets a link and no address' }) }),
  ...macFields,
})

type Decoded = Infer<typeof netconfSchema>

/** What follows from the text alone. */
const readConfig = perConfig((config) => {
  const { args, runtimeConfig, ...fields } = decode(netconfSchema, config)
  refuseContradictions(fields)
  const { vlan, vlanTrunk, preserveDefaultVlan, ...rest } = fields
  const isGateway = rest.isGateway || rest.isDefaultGateway
  const vlans = parseVlans({ bridge: rest.bridge, isGateway, vlan, vlanTrunk, preserveDefaultVlan })
  return { netconf: { ...rest, isGateway, vlans }, macs: { args, runtimeConfig } }
})

export type BridgeNetconf = Omit<Fields, 'vlan' | 'vlanTrunk' | 'preserveDefaultVlan'> & {
  /** Undefined when nothing is said of VLANs. */
  readonly vlans: PortVlans | undefined
  /** Asked for by runtimeConfig.mac, args.cni.mac or MAC in CNI_ARGS, in that order. */
  readonly mac: MacAddress | undefined
}

/** @throws CniError 7 for wrong types and contradictions */
export function parseNetconf(request: Request): BridgeNetconf {
  const { netconf, macs } = readConfig(request.netconf)
  // IP and GATEWAY are for the IPAM plugin: one CNI_ARGS serves both.
  if (request.command !== 'STATUS') requireKnownArgs(request.args, ['MAC', 'IP', 'GATEWAY'])
  return { ...netconf, mac: requestedMac(request, macs) }
}

type Fields = Omit<Decoded, 'args' | 'runtimeConfig'>

function refuseContradictions(netconf: Fields): void {
  if (!isIfname(netconf.bridge)) {
    throw invalid(
      `bridge: ${JSON.stringify(netconf.bridge)} is no interface name (1 to 15 bytes, no space, "/", ":", "%" or control character)`,
    )
  }
  if (netconf.hairpinMode && netconf.promiscMode) {
    throw invalid('cannot set hairpin mode and promiscuous mode at the same time')
  }
  if (netconf.disableContainerInterface && netconf.ipam.type !== '') {
    throw invalid('cannot use IPAM when DisableContainerInterface flag is set')
  }
  if (isSelf(netconf.ipam.type, PLUGIN)) {
    throw invalid(`ipam.type: ${JSON.stringify(netconf.ipam.type)} is no IPAM plugin`)
  }
  if (!MASQUERADE_BACKENDS.includes(netconf.ipMasqBackend)) {
    throw invalid(`unknown ipmasq backend ${JSON.stringify(netconf.ipMasqBackend)}`)
  }
}

function invalid(message: string): CniError {
  return new CniError(CNI_CODE.invalidNetconf, message)
}
