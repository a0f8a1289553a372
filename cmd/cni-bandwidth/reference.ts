// What the reference tells of `cni-bandwidth`.

import type { FieldNote, PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'

const rates = (path = ''): Record<string, FieldNote> => ({
  [`${path}ingressRate`]: { unit: 'bits per second', required: 'with ingressBurst' },
  [`${path}ingressBurst`]: { unit: 'bits', required: 'with ingressRate' },
  [`${path}egressRate`]: { unit: 'bits per second', required: 'with egressBurst' },
  [`${path}egressBurst`]: { unit: 'bits', required: 'with egressRate' },
})

export const reference: PluginReference = {
  name: 'cni-bandwidth',
  summary: 'limits how fast a pod may receive and send.',
  about: [
    'Chained, after a plugin that gives the pod a veth pair. Where the config itself has one of the four fields, those of the runtime are not looked at ([how](../adr/0022-bandwidth.md)).',
    'A burst is below 2^32 bytes; one that is smaller than a frame is raised to one; and 2^32-1 bits, which containerd sends when nobody has named a burst, mean what flows in 25 ms, at least 128 KiB. The kernel needs `tbf`, `ingress`, `ifb`, `u32` and `mirred`.',
  ],
  schema: netconfSchema,
  notes: { ...rates(), ...rates('runtimeConfig.bandwidth.') },
  example: [
    {
      type: 'cni-bridge',
      isDefaultGateway: true,
      ipMasq: true,
      ipam: { type: 'ipam-host-local', subnet: '10.244.1.0/24' },
    },
    {
      type: 'cni-bandwidth',
      ingressRate: 100_000_000,
      ingressBurst: 8_000_000,
      egressRate: 50_000_000,
      egressBurst: 8_000_000,
    },
  ],
  outcome: 'Each pod may receive 100 Mbit/s and send 50, after a rest 1 MB at once.',
}
