// `podwire trace` on a node in memory: the way of a packet step by step, and where it dies.

import { test } from 'tap'

import type { Hostport } from '../../../lib/hostport/hostport.ts'
import { addHostports } from '../../../lib/hostport/hostport-table.ts'
import { IpAddress } from '../../../lib/ip/address.ts'
import { Prefix } from '../../../lib/ip/prefix.ts'
import type { LinkSettings } from '../../../lib/rtnl/link.ts'
import type { Change } from '../../../lib/rtnl/rtnl.ts'
import { makeNode } from '../node.fixture.ts'

/** web and api on a bridge, and an uplink with a default route. */
async function makeWorld() {
  const node = makeNode()
  for (const name of ['web', 'api']) await node.attach(name)
  const { rtnl } = node.scene.kernel.host
  await rtnl.apply({
    change: 'create link',
    link: { kind: 'veth', name: 'up0', up: true, peer: { name: 'far' } },
  })
  const { index: dev } = await rtnl.getLink('up0')
  await rtnl.apply(
    { change: 'add address', address: { dev, prefix: Prefix.parse('192.0.2.1/24') } },
    { change: 'add route', route: { dst: Prefix.parse('0.0.0.0/0'), dev } },
  )
  const names = new Map<string, string>()
  for (const { containerId, record } of node.scene.ports.attachments.list())
    names.set((record as { hostIfname: string }).hostIfname, containerId.toUpperCase())
  const trace = async (...words: readonly string[]) => {
    const { stdout, ...rest } = await node.podwire('trace', ...words)
    const text = [...names].reduce((all, [from, to]) => all.replaceAll(from, to), stdout)
    return { stdout: text.replaceAll(/ +/g, ' '), ...rest }
  }
  const nameOf = (pod: string) => [...names].find(([, one]) => one === pod)?.[0] ?? ''
  return { ...node, trace, nameOf }
}

type World = Awaited<ReturnType<typeof makeWorld>>

const WAYS: readonly [words: string[], text: string][] = [
  [
    ['web', 'api'],
    `demo/web (10.1.0.5) → demo/api (10.1.0.6)
 1 pod demo/web 10.1.0.6 is reached directly by eth0
 2 wire WEB is a port of br0, forwarding
 3 bridge br0 10.1.0.6 is behind port API
 4 pod demo/api eth0 has 10.1.0.6, and there is a route back
arrives: demo/api sees it come from 10.1.0.5
`,
  ],
  [
    ['demo/web', 'fd00:1::6'],
    `demo/web (fd00:1::5) → demo/api (fd00:1::6)
 1 pod demo/web fd00:1::6 is reached directly by eth0
 2 wire WEB is a port of br0, forwarding
 3 bridge br0 fd00:1::6 is behind port API
 4 pod demo/api eth0 has fd00:1::6, and there is a route back
arrives: demo/api sees it come from fd00:1::5
`,
  ],
  [
    ['web', '203.0.113.7'],
    `demo/web (10.1.0.5) → 203.0.113.7
 1 pod demo/web 203.0.113.7 is reached via 10.1.0.1 by eth0
 2 wire WEB is a port of br0, forwarding
 3 bridge br0 10.1.0.1 is the node’s own address
 4 node routes 203.0.113.7 out of up0
 5 node no firewall drops it at the hook forward
 6 node it is masqueraded: goes on as 192.0.2.1
leaves: by up0, to 203.0.113.7, as 192.0.2.1
`,
  ],
  [
    ['node', 'api'],
    `the node → demo/api (10.1.0.6)
 1 node routes 10.1.0.6 out of br0, from 10.1.0.1
 2 bridge br0 10.1.0.6 is behind port API
 3 pod demo/api eth0 has 10.1.0.6, and there is a route back
arrives: demo/api sees it come from 10.1.0.1
`,
  ],
  [
    ['203.0.113.7', 'api'],
    `203.0.113.7 → demo/api (10.1.0.6)
 1 link up0 203.0.113.7 is beyond it
 2 node routes 10.1.0.6 out of br0
 3 node no firewall drops it at the hook forward
 4 bridge br0 10.1.0.6 is behind port API
 5 pod demo/api eth0 has 10.1.0.6, and there is a route back
arrives: demo/api sees it come from 203.0.113.7
`,
  ],
  [
    ['web', 'node'],
    `demo/web (10.1.0.5) → the node
 1 pod demo/web 10.1.0.1 is reached directly by eth0
 2 wire WEB is a port of br0, forwarding
 3 bridge br0 10.1.0.1 is the node’s own address
arrives: the node has it; chains at the hook input are not looked at
`,
  ],
]

for (const [words, text] of WAYS) {
  test(`podwire trace ${words.join(' ')} tells the way step by step`, async (t) => {
    const { trace, scene } = await makeWorld()
    t.same(await trace(...words), { stdout: text, stderr: '', exitStatus: 0 })
    t.strictSame(scene.kernel.openHandles(), [], 'namespaces are closed')
  })
}

const set =
  (link: (world: World) => string, settings: LinkSettings) =>
  (world: World): Promise<void> =>
    world.scene.kernel.host.rtnl.apply({ change: 'set link', link: link(world), set: settings })

const ofWeb = ({ nameOf }: World) => nameOf('WEB')
const ofApi = ({ nameOf }: World) => nameOf('API')

interface Death {
  readonly when: string
  readonly spoil: (world: World) => unknown
  readonly words: readonly [string, string]
  readonly why: RegExp
  readonly remedy: RegExp
}

const inside =
  (pod: string, ...changes: readonly Change[]) =>
  async ({ scene }: World): Promise<void> => {
    const namespace = scene.kernel.openNamespace(`/run/netns/${pod}`)
    await namespace.rtnl.apply(...changes)
    namespace.close()
  }

const DEATHS: readonly Death[] = [
  {
    when: 'the bridge is down',
    spoil: set(() => 'br0', { up: false }),
    words: ['web', 'api'],
    why: /bridge br0 is down/,
    remedy: /podwire repair/,
  },
  {
    when: 'the port was unplugged',
    spoil: set(ofWeb, { master: 0 }),
    words: ['web', 'api'],
    why: /WEB is no port of br0/,
    remedy: /podwire repair/,
  },
  {
    when: 'the other’s port was unplugged',
    spoil: set(ofApi, { master: 0 }),
    words: ['web', 'api'],
    why: /API, the wire of demo\/api, is no port of br0/,
    remedy: /podwire repair/,
  },
  {
    when: 'the wire is down',
    spoil: set(ofWeb, { up: false }),
    words: ['web', 'api'],
    why: /node’s end of the wire, WEB, is down/,
    remedy: /podwire repair/,
  },
  {
    when: 'both ports are isolated',
    spoil: async (world) => {
      for (const port of [ofWeb, ofApi]) await set(port, { isolated: true })(world)
    },
    words: ['web', 'api'],
    why: /WEB and API are isolated from each other/,
    remedy: /configuration wants/,
  },
  {
    when: 'the pod has lost its default route',
    spoil: inside('web', { change: 'delete route', route: { dst: Prefix.parse('0.0.0.0/0') } }),
    words: ['web', '203.0.113.7'],
    why: /pod demo\/web has no route to 203\.0\.113\.7 \(ENETUNREACH\)/,
    remedy: /isDefaultGateway/,
  },
  {
    when: 'the other pod has no route back',
    spoil: inside('api', { change: 'delete route', route: { dst: Prefix.parse('0.0.0.0/0') } }),
    words: ['203.0.113.7', 'api'],
    why: /it arrives, and pod demo\/api has no route back to 203\.0\.113\.7/,
    remedy: /isDefaultGateway/,
  },
  {
    when: 'the pod’s interface is down',
    spoil: inside('web', { change: 'set link', link: 'eth0', set: { up: false } }),
    words: ['web', 'api'],
    why: /eth0 of demo\/web is down/,
    remedy: /restart the pod/,
  },
  {
    when: 'forwarding is off',
    spoil: ({ scene }) => scene.kernel.host.sysctl.set({ key: 'ipv4/ip_forward', value: '0' }),
    words: ['web', '203.0.113.7'],
    why: /forwarding is off \(net\/ipv4\/ip_forward\)/,
    remedy: /podwire repair; .*sysctl -w net\/ipv4\/ip_forward=1$/,
  },
  {
    when: 'nobody has the address',
    spoil: () => undefined,
    words: ['web', '10.1.0.77'],
    why: /nobody on br0 has 10\.1\.0\.77/,
    remedy: /podwire list/,
  },
  {
    when: 'the node has no route',
    spoil: ({ scene }) =>
      scene.kernel.host.rtnl.apply({ change: 'delete route', route: { dst: Prefix.parse('0.0.0.0/0') } }),
    words: ['web', '203.0.113.7'],
    why: /the node has no route to 203\.0\.113\.7 \(ENETUNREACH\)/,
    remedy: /ip route/,
  },
  {
    when: 'a firewall drops it',
    spoil: ({ scene }) => {
      const table = { family: 'inet', name: 'mine' } as const
      const base = { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' } as const
      return scene.kernel.host.nft.apply([
        { verb: 'add', table },
        { verb: 'add', chain: { table, name: 'all', base } },
      ])
    },
    words: ['web', '203.0.113.7'],
    why: /chain inet mine all \(policy drop\) drops what goes from br0 to up0: it is of whoever made table inet mine/,
    remedy: /nft insert rule inet mine all iifname br0 accept/,
  },
]

for (const { when, spoil, words, why, remedy } of DEATHS) {
  test(`podwire trace ${words.join(' ')} tells where it dies when ${when}`, async (t) => {
    const world = await makeWorld()
    await spoil(world)
    const { stdout, exitStatus } = await world.trace(...words)
    t.equal(exitStatus, 1, stdout)
    const [last = '', advice = ''] = stdout.trimEnd().split('\n').slice(-2)
    t.match(last, new RegExp(`^dies: .*${why.source}`))
    t.match(advice, new RegExp(`^ → .*${remedy.source}`))
  })
}

test('podwire trace refuses ends that it does not know, or that have nothing in common', async (t) => {
  const { trace } = await makeWorld()
  t.match(await trace('nobody', 'api'), { exitStatus: 1, stderr: /no pod and no container "nobody"/ })
  t.match(await trace('10.1.0.5', 'fd00:1::6'), { exitStatus: 1, stderr: /have no addresses of one family/ })
  t.match(await trace('web'), { exitStatus: 2, stderr: /usage: podwire trace SOURCE DESTINATION/ })
})

test('podwire trace tells programs the same', async (t) => {
  const { trace } = await makeWorld()
  const { stdout } = await trace('web', 'api', '-6', '-o', 'json')
  t.match(JSON.parse(stdout), {
    from: 'demo/web (fd00:1::5)',
    steps: [{ where: 'pod demo/web' }, {}, {}, {}],
    outcome: { end: 'arrives' },
  })
})

test('podwire trace names chains that rewrite destinations', async (t) => {
  const { scene, trace } = await makeWorld()
  const table = { family: 'ip', name: 'nat' } as const
  const base = { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' } as const
  await scene.kernel.host.nft.apply([
    { verb: 'add', table },
    { verb: 'add', chain: { table, name: 'PREROUTING', base } },
  ])
  const said = /node chain ip nat PREROUTING: may send it elsewhere/
  t.match((await trace('web', '10.96.0.10')).stdout, said)
  t.notMatch((await trace('web', '2001:db8::7')).stdout, said, 'IPv6 does not pass it')
  t.notMatch((await trace('node', 'api')).stdout, said, 'nor does what the node sends')
  t.notMatch((await trace('web', 'api')).stdout, said, 'nor what stays on the bridge')

  const address = IpAddress.parse('10.1.0.5')
  const hostport: Hostport = { protocol: 'tcp', port: 8080, address, podPort: 80 }
  await addHostports(scene.kernel.host.nft, { hostports: [hostport], masquerades: [] }, 'net web eth0')
  const ours = /chain inet podwire hostport_prerouting/
  t.match((await trace('203.0.113.7', 'node')).stdout, ours)
  t.notMatch((await trace('web', '203.0.113.7')).stdout, ours, 'host ports are the node’s')
})
