// What the reference tells of `ipam-host-local`.

import { ABSENT, type FieldNote, type PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

const SUBNET = 'One of one or two addresses is used whole, and has no gateway unless it names one.'
const NO_SMALL_SUBNET = 'subnets of one or two addresses are refused'

const range = (path: string): Record<string, FieldNote> => ({
  [`${path}.rangeStart`]: { absent: 'the subnet’s second address' },
  [`${path}.rangeEnd`]: { absent: 'the subnet’s last address, for IPv4 the one before' },
  [`${path}.gateway`]: { absent: 'the subnet’s second address' },
  [`${path}.exclude`]: { upstream: ABSENT },
})

export const reference: PluginReference = {
  name: 'ipam-host-local',
  summary: 'hands out addresses from ranges that belong to the node.',
  about: [
    'The `ipam` of a plugin that makes an interface: its fields are inside `ipam`. Each node needs ranges of its own: nobody else is asked.',
    'A lease names network, container and interface. It is void when the node has started anew. An address that is free longest is taken first, and those never used before all others.',
  ],
  schema: netconfSchema,
  notes: {
    'ipam.type': { required: 'by the plugin that makes the interface' },
    'ipam.subnet': {
      required: 'without ranges',
      more: `It and the fields of a range may stand beside ranges or in their place: a set of one range, before the others. ${SUBNET}`,
      upstream: NO_SMALL_SUBNET,
    },
    ...range('ipam'),
    'ipam.exclude': { more: 'Beside ranges it holds for all of them.', upstream: ABSENT },
    'ipam.ranges': {
      required: 'without subnet',
      more: 'The ranges of one set are of one family. In configurations before 0.3.0 there is one set for each family at most.',
    },
    'ipam.ranges[][].subnet': { required: 'in each range', more: SUBNET, upstream: NO_SMALL_SUBNET },
    ...range('ipam.ranges[][]'),
    'ipam.routes': {
      more: 'Results of versions before 1.0.0 have room for dst and gw only.',
    },
    'ipam.routes[].dst': { required: 'in each route' },
    'ipam.routes[].mtu': { unit: 'bytes' },
    'ipam.routes[].advmss': { unit: 'bytes' },
    'ipam.dataDir': {
      more: 'The leases are in <dataDir>/podwire-leases.db. Networks with one directory share a store, and leases are of one network each.',
      upstream: 'a file for each address, in <dataDir>/<network>; Podwire takes those over once',
    },
    'ipam.coolDown': {
      unit: 'seconds',
      more: 'A wish: an address that still cools is used before a pod is refused. Neighbours take an address for its last holder’s for 15 to 45 seconds, and the kernel tracks an unanswered UDP flow for 30.',
      upstream: ABSENT,
    },
    'ipam.sticky': {
      more: 'Over reboots, too. The name comes in CNI_ARGS.',
      upstream: ABSENT,
    },
    'ipam.statusMinFree': { unit: 'addresses', upstream: ABSENT },
    'runtimeConfig.ipRanges[][].subnet': { required: 'in each range' },
    ...range('runtimeConfig.ipRanges[][]'),
  },
  args: {
    IP: 'addresses that the pod is to get, separated by commas',
    MAC: 'passed over: for the plugin that makes the interface',
    K8S_POD_NAMESPACE: 'with K8S_POD_NAME, whose address it is for `sticky`; needs IgnoreUnknown=1',
    K8S_POD_NAME: 'the same',
  },
  example: [
    {
      type: 'cni-bridge',
      isDefaultGateway: true,
      ipam: {
        type: 'ipam-host-local',
        ranges: [
          [{ subnet: '10.244.1.0/24', rangeStart: '10.244.1.10', exclude: ['10.244.1.200-10.244.1.254'] }],
          [{ subnet: 'fd00:10:244:1::/64' }],
        ],
        routes: [{ dst: '192.0.2.0/24', gw: '10.244.1.1', mtu: 1400 }],
        sticky: true,
        coolDown: 60,
        statusMinFree: 5,
      },
    },
  ],
  outcome: 'The first pod gets 10.244.1.10 and fd00:10:244:1::2.',
}
