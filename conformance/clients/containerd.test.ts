// containerd, by its CRI as a kubelet uses it and by `ctr run --cni`, with our plugins under upstream's names for
// everything that it calls.

import { t as root, type Test, test } from 'tap'
import type { Namespace } from '../harness/node.ts'
import { DEADLINE_MS } from '../harness/play-area.ts'
import { mustRun } from '../harness/process.ts'
import { serve } from '../harness/traffic.ts'
import { Containerd, findContainerdObstacle } from './containerd.ts'
import type { PodConfig, PodStatus } from './cri.ts'
import { IMAGE, LARGE_BYTES } from './image.ts'
import { askCommand, awaitServer, fetchText, urlOf, wget } from './web.ts'

root.setTimeout(DEADLINE_MS)
const skip = await findContainerdObstacle()

const ranges = [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:10:244:1::/64' }]]
const NETWORK = {
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isDefaultGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: { type: 'host-local', ranges },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'bandwidth', capabilities: { bandwidth: true } },
  ],
}

interface World {
  readonly containerd: Containerd
  readonly outside: Namespace
  /** Starts a pod with a web server on port 8080. */
  readonly runPod: (name: string, more?: Partial<PodConfig>) => Promise<Pod>
  readonly endPod: (pod: Pod) => Promise<void>
}

interface Pod extends PodStatus {
  readonly id: string
}

/** One containerd for all tests. */
let shared: Promise<World> | undefined
const getWorld = () => {
  shared ??= makeWorld(root)
  return shared
}

async function makeWorld(t: Pick<Test, 'teardown'>): Promise<World> {
  const containerd = await Containerd.start(t)
  const { host, cri } = containerd
  const outside = await host.node.addOutside()
  host.writeNetwork('10-pods.conflist', NETWORK)
  return {
    containerd,
    outside,
    async runPod(name, more = {}) {
      const metadata = { name, uid: `uid-${name}`, namespace: 'default' }
      const id = await cri.runPod({ metadata, linux: { cgroupParent: `/${host.cgroup}` }, ...more })
      const status = await cri.podStatus(id)
      await awaitServer(host.node, urlOf(status.network.ip, 8080))
      return { id, ...status }
    },
    async endPod({ id }) {
      await cri.stopPod(id)
      await cri.removePod(id)
    },
  }
}

const PORTS = [{ containerPort: 8080, hostPort: 30080 }]
const RATE = 8_000_000
/** Of cni-bandwidth’s choice, since an annotation names none. */
const BURST_BYTES = 131_072
const LIMITS = { 'kubernetes.io/ingress-bandwidth': '16M', 'kubernetes.io/egress-bandwidth': '8M' }

const options = { skip, timeout: DEADLINE_MS }

test('containerd finds the network ready', options, async (t) => {
  const { containerd } = await getWorld()
  const conditions = await containerd.cri.conditions()
  t.match(
    conditions.find(({ type }) => type === 'NetworkReady'),
    { status: true, reason: '', message: '' },
  )
})

test('pods of containerd’s reach and are reached, and nothing of them is left', options, async (t) => {
  const { containerd, outside, runPod, endPod } = await getWorld()
  const { host } = containerd
  const { node } = host
  const web = await runPod('web', { portMappings: PORTS, annotations: LIMITS })
  const { ip, additionalIps } = web.network
  t.equal(web.state, 'SANDBOX_READY')
  t.match([ip, ...additionalIps.map((one) => one.ip)], [/^10\.244\.1\.\d+$/, /^fd00:10:244:1::/])
  t.equal(await fetchText(node, urlOf(additionalIps[0]?.ip ?? '', 8080)), 'served\n', 'over IPv6')
  for (const address of ['192.0.2.1', '2001:db8:ffff::1'])
    t.equal(await fetchText(outside, urlOf(address, 30080)), 'served\n', `by the host port at ${address}`)
  await checkLimits(t, node, web)

  const alone = await host.listBelongings()
  await t.rejects(runPod('late', { portMappings: PORTS }), {
    message: new RegExp(`plugin type="portmap" failed \\(add\\): .*30080.*taken.*${web.id}`),
  })
  t.strictSame(
    await host.listBelongings(),
    alone,
    'a pod whose host port is taken does not start, and leaves nothing',
  )

  const other = await runPod('other')
  const inside = (command: readonly string[]) => host.must('nsenter', `--net=${other.netns}`, ...command)
  t.equal(await inside(wget(urlOf(ip, 8080))), 'served\n', 'another pod reaches it')
  t.match(await inside(wget(urlOf('127.0.0.1', 8080))), 'served\n', 'and itself by its loopback interface')
  t.teardown(await serve(outside))
  t.equal(await inside(askCommand('192.0.2.2')), '192.0.2.1\n', 'outside it is the node')
  t.equal(await inside(askCommand('2001:db8:ffff::2')), '2001:db8:ffff::1\n')
  await endPod(other)

  await containerd.cri.stopPod(web.id)
  t.equal((await containerd.cri.podStatus(web.id)).state, 'SANDBOX_NOTREADY')
  t.equal(await fetchText(outside, urlOf('192.0.2.1', 30080)), 'nothing', 'the host port is nobody’s')
  await containerd.cri.removePod(web.id)
  t.strictSame(await host.listBelongings(), [])
})

/** That there are limits; how exact they are is tested in cmd/cni-bandwidth. */
async function checkLimits(t: Test, node: Namespace, { network }: Pod): Promise<void> {
  const startMs = performance.now()
  t.equal((await fetchText(node, urlOf(network.ip, 8080, 'large'))).length, LARGE_BYTES)
  const seconds = (performance.now() - startMs) / 1000
  const least = (0.9 * 8 * (LARGE_BYTES - BURST_BYTES)) / RATE
  t.ok(seconds > least, `1 MiB takes ${seconds} s at 8 Mbit/s`)
  t.match(await mustRun('tc', '-n', node.name, 'qdisc'), /tbf 1: dev veth\S+ root .* rate 16Mbit/)
}

test('ctr run --cni gives a container a network and takes it away', options, async (t) => {
  const { containerd, outside } = await getWorld()
  t.teardown(await serve(outside))
  const output = await containerd.ctr(
    ...['run', '--rm', '--cni', '--snapshotter', 'native', '--cgroup', `/${containerd.host.cgroup}/ctr`],
    ...[IMAGE, 'by-hand', 'sh', '-c', 'ip addr show eth0; ip -6 route; nc 192.0.2.2 8080'],
  )
  t.match(output, /inet 10\.244\.1\.\d+\/24/)
  t.match(output, /inet6 fd00:10:244:1::\w+\/64/)
  t.match(output, /default via fd00:10:244:1::1 dev eth0/)
  t.match(output, /^192\.0\.2\.1$/m, 'it is the node to the world')
  t.strictSame(await containerd.host.listBelongings(), [])
})
