// What the reference tells of `cni-tuning`.

import type { FieldNote, PluginReference } from '../../lib/cni/reference.ts'
import { netconfSchema } from './netconf.ts'
import { ALLOW_LIST } from './sysctl-key.ts'

const units = (path = ''): Record<string, FieldNote> => ({
  [`${path}mtu`]: { unit: 'bytes' },
  [`${path}txQLen`]: { unit: 'packets' },
})

export const reference: PluginReference = {
  name: 'cni-tuning',
  summary: 'sets sysctls of a pod, and attributes of its interface.',
  about: [
    'Chained, after a plugin that makes the interface. DEL puts everything back as it was, where nobody has changed it since.',
    `Where there is a file \`${ALLOW_LIST}\`, a sysctl must match one of the regular expressions in it, one a line.`,
    'Each field may be in args.cni again, and counts there first.',
  ],
  schema: netconfSchema,
  notes: {
    ...units(),
    ...units('args.cni.'),
    sysctl: {
      more: 'Such as net.ipv4.conf.IFNAME.arp_filter. A name that is written twice is an error.',
      upstream: 'sysctls stay as they are after DEL',
    },
    mac: { more: 'The last of args.cni.mac, runtimeConfig.mac, MAC of CNI_ARGS and this.' },
    dataDir: { upstream: 'where it keeps what DEL restores' },
  },
  args: {
    MAC: 'MAC address of the pod’s interface; after args.cni.mac and runtimeConfig.mac, before `mac`',
    IP: 'passed over: for others of the chain',
    GATEWAY: 'passed over: for others of the chain',
  },
  example: [
    {
      type: 'cni-bridge',
      isDefaultGateway: true,
      ipam: { type: 'ipam-host-local', subnet: '10.244.1.0/24' },
    },
    {
      type: 'cni-tuning',
      sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' },
      mtu: 1400,
      txQLen: 500,
    },
  ],
  outcome: 'The pod’s interface has these.',
}
