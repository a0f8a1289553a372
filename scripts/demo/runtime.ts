// What a container runtime does with CNI: it executes the plugin named in a network's configuration, with the verb and
// the pod in the environment and the configuration on standard input, and keeps the result for later.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const PLUGINS = join(import.meta.dirname, '../../dist/bin')
/** Below the private /run of the demo. */
export const STATE_DIR = '/run/podwire-demo/state'
export const LEASES_DIR = '/run/podwire-demo/leases'

const IPAM = { type: 'ipam-host-local', dataDir: LEASES_DIR }
const COMMON = {
  cniVersion: '1.0.0',
  type: 'cni-bridge',
  isDefaultGateway: true,
  ipMasq: true,
  hairpinMode: true,
}

export const NETWORKS = {
  shop: {
    ...COMMON,
    name: 'shop',
    bridge: 'cni0',
    ipam: { ...IPAM, ranges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:10:1::/64' }]] },
  },
  bank: {
    ...COMMON,
    name: 'bank',
    bridge: 'cni1',
    ipam: { ...IPAM, ranges: [[{ subnet: '10.244.2.0/24' }]] },
  },
} as const

export interface Pod {
  readonly name: string
  readonly netns: string
  readonly network: keyof typeof NETWORKS
}

export interface Result {
  readonly ips: readonly { readonly address: string; readonly gateway: string }[]
}

export interface Call {
  readonly result: Result | undefined
  readonly elapsedMs: number
}

/**
 * @param prevResult  what ADD answered; CHECK and DEL get it back
 * @throws Error in the plugin's words, when it refuses
 */
export function call(command: 'ADD' | 'CHECK' | 'DEL', pod: Pod, prevResult?: Result): Call {
  const netconf = NETWORKS[pod.network]
  const start = process.hrtime.bigint()
  const { status, stdout, stderr, error } = spawnSync(join(PLUGINS, netconf.type), {
    input: JSON.stringify(prevResult === undefined ? netconf : { ...netconf, prevResult }),
    encoding: 'utf8',
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: `demo-${pod.name}`,
      CNI_NETNS: pod.netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: PLUGINS,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=${pod.name}`,
      PODWIRE_STATE_DIR: STATE_DIR,
    },
  })
  const elapsedMs = Number(process.hrtime.bigint() - start) / 1e6
  if (status === null) throw error
  if (status !== 0) throw new Error(explain(stdout) ?? `exit status ${status}: ${stdout}${stderr}`)
  return { result: stdout === '' ? undefined : (JSON.parse(stdout) as Result), elapsedMs }
}

/** The message of a CNI error object. */
function explain(stdout: string): string | undefined {
  try {
    const { msg } = JSON.parse(stdout) as { msg: string }
    return msg
  } catch {
    return undefined
  }
}
