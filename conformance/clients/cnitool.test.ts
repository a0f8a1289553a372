// Upstream's cnitool, built from Debian's source, drives the plugins as a runtime does: conflist in, result out.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { podwire, upstream } from '../harness/contestant.ts'
import { withMounts } from '../harness/mounts.ts'
import { TestNode } from '../harness/node.ts'
import { DEADLINE_MS } from '../harness/play-area.ts'
import type { Config } from '../harness/plugin.ts'
import { type Exit, run } from '../harness/process.ts'
import { readWorld } from '../harness/world.ts'

const BUILD = resolve(import.meta.dirname, '../../scripts/cnitool.sh')
const RANGES = [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]]

root.setTimeout(DEADLINE_MS)

const built = await run([BUILD], { deadlineMs: DEADLINE_MS })
const tool = built.stdout.trim()
const skip = built.status === 0 ? false : `cnitool cannot be built: ${built.stderr.trim()}`
/** GC and STATUS came with 1.3. */
const skipNewer = skip || (/1\.[3-9]/.test(tool) ? false : `${tool} knows neither GC nor STATUS`)

interface Network {
  readonly cniVersion?: string
  /** Names of plugin and IPAM plugin. */
  readonly types: readonly [string, string]
  readonly more?: readonly Config[]
  readonly ranges?: readonly (readonly Config[])[]
}

const { bridge, hostLocal } = podwire
/** Our whole chain; see CAPABILITIES. */
const CHAIN = [
  { type: 'cni-portmap', capabilities: { portMappings: true } },
  { type: 'cni-bandwidth', capabilities: { bandwidth: true } },
]
const CAPABILITIES = {
  portMappings: [{ hostPort: 30080, containerPort: 8080, protocol: 'tcp' }],
  bandwidth: { ingressRate: 1e6, ingressBurst: 1e6, egressRate: 1e6, egressBurst: 1e6 },
}
const TUNING = { type: 'tuning', sysctl: { 'net.ipv4.conf.eth0.rp_filter': '1' } }

const LISTS: readonly (Network & { readonly title: string })[] = [
  { title: 'ours', types: [bridge, hostLocal] },
  { title: 'ours at 0.4.0', types: [bridge, hostLocal], cniVersion: '0.4.0' },
  { title: 'ours with host ports and limits of bandwidth', types: [bridge, hostLocal], more: CHAIN },
  { title: 'ours with upstream’s tuning after it', types: [bridge, hostLocal], more: [TUNING] },
  { title: 'our bridge over upstream’s host-local', types: [bridge, upstream.hostLocal] },
  { title: 'upstream’s bridge over our host-local', types: [upstream.bridge, hostLocal] },
]

for (const list of LISTS) {
  test(`cnitool adds, checks and deletes a pod of ${list.title}`, options(skip), async (t) => {
    const { node, call } = await makeNode(t, list)
    const [first, pod] = [await node.addPod('first'), await node.addPod('pod1')]
    succeed(await call('add', first.path)) // so that what stays of a network is there
    succeed(await call('del', first.path))
    const before = await readWorld(node.name)

    const { ips } = JSON.parse(succeed(await call('add', pod.path))) as { ips: { address: string }[] }
    t.match(
      ips.map(({ address }) => address),
      [/^10\.1\.0\.\d+\/24$/, /^fd00:1::.*\/64$/],
    )
    t.match((await call('add', pod.path)).stderr, /already/, 'a second ADD is refused')
    succeed(await call('check', pod.path))
    succeed(await call('del', pod.path))
    t.equal((await call('check', pod.path)).status, 1, 'CHECK fails after DEL')
    succeed(await call('del', pod.path))
    t.same(await readWorld(node.name), before, 'the world is as it was')
    t.same([...podwire.listLeases(node.dataDir), ...upstream.listLeases(node.dataDir)], [])
    t.same(podwire.listAttachments(node.stateDir), [])
  })
}

test('cnitool gc takes what is left of a pod whose namespace is gone', options(skipNewer), async (t) => {
  const { node, call } = await makeNode(t, { types: [bridge, hostLocal], cniVersion: '1.1.0', more: CHAIN })
  const [first, stays, gone] = [
    await node.addPod('first'),
    await node.addPod('stays'),
    await node.addPod('gone'),
  ]
  succeed(await call('add', first.path))
  succeed(await call('del', first.path))
  succeed(await call('add', gone.path))
  await node.removePod(gone)
  t.match(podwire.listAttachments(node.stateDir), [/bandwidth/, /bridge/, /portmap/])
  // It names no attachment as valid, and deletes those that it remembers.
  succeed(await call('gc', stays.path))
  t.strictSame(podwire.listAttachments(node.stateDir), [])
  t.strictSame(podwire.listLeases(node.dataDir), [])
  t.notMatch(await node.must('ip', '-o', 'link'), /veth|bwp/)
  t.notMatch(await node.must('nft', 'list', 'ruleset'), /elements/)
})

test('cnitool status says when there are no addresses left', options(skipNewer), async (t) => {
  const ranges = [[{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.9' }]]
  const list = { types: [bridge, hostLocal], cniVersion: '1.1.0', more: CHAIN, ranges } as const
  const { node, call } = await makeNode(t, list)
  const pod = await node.addPod('pod')
  succeed(await call('status', pod.path))
  succeed(await call('add', pod.path))
  const full = await call('status', pod.path)
  t.equal(full.status, 1)
  t.match(full.stderr, /no IP addresses available/)
  succeed(await call('del', pod.path))
  succeed(await call('status', pod.path))
})

function options(why: string | false) {
  return { skip: why, timeout: DEADLINE_MS }
}

async function makeNode(t: Pick<Test, 'teardown'>, list: Network) {
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  return { node, call: prepare(node, list) }
}

/** @returns cnitool on the node, with a conflist of its own */
function prepare(node: TestNode, { types, cniVersion = '1.0.0', more = [], ranges = RANGES }: Network) {
  const [type, ipamType] = types
  const ipam = { type: ipamType, dataDir: node.dataDir, ranges }
  const plugins = [
    { type, isDefaultGateway: true, hairpinMode: true, ipMasq: type === bridge, ipam },
    ...more,
  ]
  const directory = join(node.directory, 'net.d')
  mkdirSync(directory)
  writeFileSync(join(directory, '10-pods.conflist'), JSON.stringify({ cniVersion, name: 'pods', plugins }))
  const environment = {
    NETCONFPATH: directory,
    CNI_PATH: `${podwire.directory}:${upstream.directory}`,
    PODWIRE_STATE_DIR: node.stateDir,
    CAP_ARGS: JSON.stringify(CAPABILITIES),
  }
  const cache = withPrivateCache(node)
  return (verb: string, path: string) => node.exec([...cache, tool, verb, 'pods', path], { environment })
}

/** libcni remembers results below /var/lib/cni: the calls of a node see a directory of the node's there. */
function withPrivateCache(node: TestNode): string[] {
  const cache = join(node.directory, 'libcni')
  mkdirSync(cache)
  return withMounts(`mount -t tmpfs none /var/lib; mkdir /var/lib/cni; mount --bind ${cache} /var/lib/cni`)
}

/** @returns what it printed */
function succeed({ status, stdout, stderr }: Exit): string {
  if (status !== 0) throw new Error(`cnitool: exit status ${status}: ${stderr}${stdout}`)
  return stdout
}
