// What `podwire trace` says, beside what packets do: on the kernel, with ping.

import { type Test, test } from 'tap'

import { LiveKernel } from '../../../lib/host/kernel.ts'
import type { Ports } from '../../../lib/host/ports.ts'
import { makeNamespace, type TestNamespace } from '../../../lib/testing/netns.ts'
import { makeScene } from '../../../lib/testing/scene.ts'
import { NETCONF } from '../node.fixture.ts'
import { PLUGINS } from '../registry.ts'
import { PLAIN } from '../style.ts'
import { trace } from './trace.ts'

const CONFIG = { ...NETCONF, macspoofchk: true }

async function makeWorld(t: Test) {
  const [node, outside] = [makeNamespace(t, 'node'), makeNamespace(t, 'out')]
  node.run('sh', '-c', 'ip link set lo up; echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter')
  node.run('ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.name)
  for (const [ns, link, address] of [
    [node, 'up0', '192.0.2.1/24'],
    [outside, 'eth0', '192.0.2.2/24'],
  ] as const) {
    ns.run('sh', '-c', `ip link set ${link} up; ip addr add ${address} dev ${link}`)
  }
  node.run('ip', 'route', 'add', 'default', 'via', '192.0.2.2')
  const live = new LiveKernel()
  const host = live.openNamespace(node.path)
  t.teardown(() => host.close())
  const kernel = {
    host,
    openNamespace: (path: string) => live.openNamespace(path),
    close: () => undefined,
    finish: () => Promise.resolve(),
  }
  const scene = makeScene()
  const ports: Ports = { ...scene.ports, kernel }
  const pods: TestNamespace[] = []
  for (const label of ['web', 'api']) {
    const pod = makeNamespace(t, label)
    const request = scene.request('ADD', CONFIG, { containerId: label, netns: pod.path })
    await PLUGINS.find(({ name }) => name === 'cni-bridge')?.add(ports, request)
    pods.push(pod)
  }
  const [web = node, api = node] = pods
  const wires = ports.attachments.list().map(({ record }) => (record as { hostIfname: string }).hostIfname)
  return { node, web, api, ports, wires }
}

interface Row {
  readonly when: string
  /** Of the node; WEB and API are the wires of the pods. */
  readonly spoil?: string
  readonly mend?: string
  /** Done inside web. */
  readonly inside?: readonly [spoil: string, mend: string]
  readonly to: string
  readonly end: 'arrives' | 'leaves' | 'dies'
}

const API = '10.1.0.6'
const OUTSIDE = '192.0.2.2'

const ROWS: readonly Row[] = [
  { when: 'nothing is wrong', to: API, end: 'arrives' },
  { when: 'nothing is wrong', to: OUTSIDE, end: 'leaves' },
  { when: 'nothing is wrong', to: '192.0.2.1', end: 'arrives' },
  { when: 'nobody has the address', to: '10.1.0.99', end: 'dies' },
  {
    when: 'a firewall drops what is forwarded',
    spoil: 'iptables -P FORWARD DROP',
    mend: 'iptables -P FORWARD ACCEPT',
    to: OUTSIDE,
    end: 'dies',
  },
  {
    when: 'forwarding is off',
    spoil: 'echo 0 >/proc/sys/net/ipv4/ip_forward',
    mend: 'echo 1 >/proc/sys/net/ipv4/ip_forward',
    to: OUTSIDE,
    end: 'dies',
  },
  {
    when: 'the node refuses to route there',
    spoil: 'ip route add blackhole 192.0.2.2/32',
    mend: 'ip route del blackhole 192.0.2.2/32',
    to: OUTSIDE,
    end: 'dies',
  },
  {
    when: 'the other’s wire is unplugged',
    spoil: 'ip link set API nomaster',
    mend: 'ip link set API master br0',
    to: API,
    end: 'dies',
  },
  {
    when: 'ports are isolated',
    spoil: 'bridge link set dev WEB isolated on; bridge link set dev API isolated on',
    mend: 'bridge link set dev WEB isolated off; bridge link set dev API isolated off',
    to: API,
    end: 'dies',
  },
  {
    when: 'the default route is gone',
    inside: ['ip route del default', 'ip route add default via 10.1.0.1'],
    to: OUTSIDE,
    end: 'dies',
  },
  {
    when: 'the pod has taken another MAC',
    inside: ['ip link set eth0 address 02:00:00:00:00:99', ''],
    to: API,
    end: 'dies',
  },
]

test('podwire trace says where packets go, and where they die', async (t) => {
  const { node, web, ports, wires } = await makeWorld(t)
  const [api = '', own = ''] = wires
  const onNode = (command = '') => node.run('sh', '-c', command.replaceAll('WEB', own).replaceAll('API', api))
  for (const { when, spoil, mend, inside, to, end } of ROWS) {
    onNode(spoil)
    if (inside) web.run('sh', '-c', inside[0])
    const { stdout, exitStatus } = await trace(ports, ['web', to], { family: 4, isJson: true, style: PLAIN })
    const { outcome } = JSON.parse(stdout) as { outcome: { end: string } }
    t.equal(outcome.end, end, `to ${to} when ${when}: ${stdout}`)
    t.equal(exitStatus === 0, reaches(web, to), `and so do packets, to ${to} when ${when}`)
    onNode(mend)
    if (inside) web.run('sh', '-c', inside[1])
  }
})

function reaches(from: TestNamespace, to: string): boolean {
  try {
    from.run('ping', '-c', '1', '-W', '0.3', to)
    return true
  } catch {
    return false
  }
}
