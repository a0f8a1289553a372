// The configurations of clients that fix the names `bridge` and `host-local`, as they write them (conformance/clients),
// under those names. Plugins that come after the bridge are upstream's, in the one chain as in the other.

import { mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Case } from '../harness/case.ts'
import { upstream } from '../harness/contestant.ts'
import type { Json } from '../harness/flatten.ts'
import { installUnderUpstreamsNames } from '../harness/installed.ts'
import { withMounts } from '../harness/mounts.ts'
import type { Namespace } from '../harness/node.ts'
import type { Config } from '../harness/plugin.ts'
import type { Options, Stage } from '../harness/stage.ts'
import { askPeer, serve } from '../harness/traffic.ts'

const CONFIGS = resolve(import.meta.dirname, '../clients')

interface Client {
  /** In conformance/clients. */
  readonly file: string
  readonly args: string
  /** What the runtime hands to plugins that declare the capability. */
  readonly capabilities?: Readonly<Record<string, Json>>
  /** Laid over the bridge, which is then alone. */
  readonly fields?: Config
  /** DEL without namespace and prevResult: before the ADD (nerdctl), or twice after the DEL (containerd). */
  readonly strayDels?: 'before' | 'after'
}

const POD = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=pod1'
const KUBERNETES = `IgnoreUnknown=1;${POD};K8S_POD_UID=0a1b2c3d-0000-4000-8000-000000000001`

/** The letter case is go-cni's. */
const GO_CNI: Readonly<Record<string, Json>> = {
  portMappings: [{ HostPort: 8080, ContainerPort: 8080, Protocol: 'tcp', HostIP: '' }],
  bandwidth: {
    IngressRate: 10_000_000,
    IngressBurst: 4_294_967_295,
    EgressRate: 10_000_000,
    EgressBurst: 4_294_967_295,
  },
  dns: { Servers: ['10.96.0.10'], Searches: ['svc.cluster.local'], Options: ['ndots:5'] },
  'io.kubernetes.cri.pod-annotations': { 'kubernetes.io/config.source': 'api' },
  cgroupPath: '/kubepods/besteffort/pod0a1b2c3d/pod1',
}
const ALL_CAPABILITIES = Object.fromEntries(Object.keys(GO_CNI).map((name) => [name, true]))

const clients: Readonly<Record<string, Client>> = {
  'containerd’s conflist': {
    file: 'containerd-10-containerd-net.conflist',
    args: KUBERNETES,
    capabilities: GO_CNI,
    strayDels: 'after',
  },
  'containerd’s conflist with every capability at the bridge': {
    file: 'containerd-10-containerd-net.conflist',
    args: KUBERNETES,
    capabilities: GO_CNI,
    fields: { capabilities: ALL_CAPABILITIES },
  },
  'CRI-O’s conflist': { file: 'crio-10-crio-bridge.conflist', args: KUBERNETES },
  'CRI-O’s conflist for IPv4': { file: 'crio-11-crio-ipv4-bridge.conflist', args: KUBERNETES },
  'what flannel delegates': {
    file: 'flannel-10-flannel.conflist',
    args: KUBERNETES,
    capabilities: GO_CNI,
    strayDels: 'after',
  },
  'what k3s delegates': { file: 'k3s-10-flannel.conflist', args: KUBERNETES, capabilities: GO_CNI },
  'nerdctl’s conflist': {
    file: 'nerdctl-bridge.conflist',
    args: 'IgnoreUnknown=1;NERDCTL_CNI_DHCP_HOSTNAME=web',
    capabilities: GO_CNI,
    strayDels: 'before',
  },
  'the config of a node set up by kubeadm and by hand': { file: 'kubeadm-10-bridge.conf', args: KUBERNETES },
}

/** Where `bridge` and `host-local` are the contestant's. */
function directoryOf({ contestant }: Stage['node']): string {
  return contestant === upstream ? upstream.directory : installUnderUpstreamsNames()
}

/** The configuration names no directory of its own: the default one is the node's. */
function withPrivateStore({ node }: Stage): readonly string[] {
  mkdirSync(node.dataDir, { recursive: true })
  return withMounts(
    `mkdir -p ${node.directory}/empty; mount --bind ${node.directory}/empty /var/lib; mkdir -p /var/lib/cni/networks; mount --bind ${node.dataDir} /var/lib/cni/networks`,
  )
}

/** What libcni makes of a file: a list of plugins with name, version and the capabilities that each declares. */
function readPlugins({ file, capabilities = {}, fields }: Client): Config[] {
  const { plugins, ...list } = JSON.parse(readFileSync(join(CONFIGS, file), 'utf8')) as Config
  const [first, ...more] = (plugins ?? [list]) as Config[]
  const { name, cniVersion } = list
  const chain = fields === undefined ? [first ?? {}, ...more] : [{ ...first, ...fields }]
  return chain.map((plugin) => {
    const declared = Object.keys((plugin['capabilities'] ?? {}) as object)
    const runtimeConfig = Object.fromEntries(
      declared.flatMap((one) => (capabilities[one] === undefined ? [] : [[one, capabilities[one]]])),
    )
    return { ...plugin, name, cniVersion, ...(declared.length > 0 ? { runtimeConfig } : {}) }
  })
}

async function live(stage: Stage, client: Client): Promise<void> {
  const outside = await stage.addOutside()
  const pod = await stage.addPod()
  const plugins = readPlugins(client)
  const wrapper = withPrivateStore(stage)
  const own = directoryOf(stage.node)
  const optionsOf = ({ type }: Config, verb: string): Options => {
    const directories = type === 'bridge' ? [own, upstream.directory] : [upstream.directory]
    const as = `${verb} ${type}`
    return { type: String(type), args: client.args, directories, wrapper, as, environment: {} }
  }
  const strayDel = async () => {
    for (const plugin of plugins.toReversed()) {
      const environment = { CNI_NETNS: '' }
      await stage.del(pod, plugin, { ...optionsOf(plugin, 'DEL without namespace'), environment })
    }
  }
  if (client.strayDels === 'before') await strayDel()
  let prevResult: Json | undefined
  for (const plugin of plugins) {
    const { json } = await stage.add(pod, { ...plugin, prevResult }, optionsOf(plugin, 'ADD'))
    prevResult = json
  }
  await stage.look()
  if (client.fields === undefined) {
    await meet(stage, { outside, pod, isPublished: plugins.some(({ type }) => type === 'portmap') })
  }
  for (const plugin of String(plugins[0]?.['cniVersion']) >= '0.4.0' ? plugins : []) {
    await stage.check(pod, plugin, prevResult, optionsOf(plugin, 'CHECK'))
  }
  for (const plugin of plugins.toReversed()) {
    await stage.del(pod, { ...plugin, prevResult }, optionsOf(plugin, 'DEL'))
  }
  if (client.strayDels === 'after') for (const _ of ['a second', 'a third']) await strayDel()
}

/** The pod calls the world, and the world its published port on the node. */
async function meet(
  stage: Stage,
  { outside, pod, isPublished }: { outside: Namespace; pod: Namespace; isPublished: boolean },
): Promise<void> {
  const servers = [await serve(outside), await serve(pod)]
  stage.note('pod1 calls outside', [await askPeer(stage, pod, '192.0.2.2')])
  if (isPublished) {
    stage.note('outside calls the published port', [await askPeer(stage, outside, '192.0.2.1')])
  }
  for (const end of servers) await end()
}

export const clientCases: readonly Case[] = Object.entries(clients).map(([title, client]) => ({
  title: `a pod lives by ${title}`,
  play: (stage) => live(stage, client),
}))
