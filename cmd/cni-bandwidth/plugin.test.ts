import { test } from 'tap'
import type { Command } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { IfIndex } from '../../lib/rtnl/link.ts'
import type { Change } from '../../lib/rtnl/rtnl.ts'
import { makeScene, type Pod, type Scene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'

const NETCONF = {
  cniVersion: '1.1.0',
  name: 'net',
  type: 'cni-bandwidth',
  ingressRate: 8_000_000,
  ingressBurst: 160_000,
  egressRate: 16_000_000,
  egressBurst: 320_000,
}

const RESULT: Result = {
  interfaces: [{ name: 'br0' }, { name: 'host0' }, { name: 'eth0', sandbox: '/run/netns/pod-1' }],
  ips: [{ address: '10.1.0.5/24', interface: 2 }],
}

type Options = Parameters<typeof makeScene>[0]

/** A pod that is wired: host0 on the node is the other end of its eth0. */
async function start(options?: Options) {
  const scene = makeScene(options)
  const { netns } = scene.request('ADD', NETCONF)
  const pod = scene.kernel.openNamespace(netns)
  const peer = { name: 'eth0', netnsFd: pod.fd }
  await scene.kernel.host.rtnl.apply({
    change: 'create link',
    link: { kind: 'veth', name: 'host0', mtu: 1450, peer },
  })
  pod.close()
  return { scene, fresh: scene.dump(), ...verbsOf(scene) }
}

function verbsOf({ ports, request }: Scene) {
  const call = (command: Command, netconf: object, pod: Partial<Pod> = {}) =>
    request(command, netconf, { prevResult: RESULT, ...pod })
  return {
    add: (netconf: object = NETCONF, pod?: Partial<Pod>) => plugin.add(ports, call('ADD', netconf, pod)),
    check: (netconf: object = NETCONF) => plugin.check(ports, call('CHECK', netconf)),
    del: (pod: Partial<Pod> = {}) => plugin.del(ports, request('DEL', { name: 'net' }, pod)),
    gc: async (netconf: object) => plugin.gc?.(ports, request('GC', netconf)),
    status: async (netconf: object = NETCONF) => plugin.status?.(ports, request('STATUS', netconf)),
    repair: async () => plugin.repair?.(ports, request('CHECK', {})),
  }
}

const host = (dump: string) => dump.split('\n').filter((line) => /^link (?:host0|bwp)/.test(line))

test('ADD limits both directions, and tells of the intermediate interface', async (t) => {
  const { scene, add } = await start()
  const result = await add()
  t.strictSame(host(scene.dump()), [
    'link bwp010203040506 ifb up mtu 1450 mac 06:08:09:0a:0b:0c { root tbf rate 2000000bps burst 40000 limit 90000 } alias "net pod-1 eth0"',
    'link host0 veth down mtu 1450 mac 0e:00:00:01:00:02 peer eth0 in /run/netns/pod-1 { root tbf rate 1000000bps burst 20000 limit 45000 } { ingress } redirect bwp010203040506',
  ])
  t.strictSame(result, {
    ...RESULT,
    interfaces: [
      ...(RESULT.interfaces ?? []),
      { name: 'bwp010203040506', mac: '06:08:09:0a:0b:0c', mtu: 1450 },
    ],
  })
})

const ingress = { ingressRate: 8_000_000, ingressBurst: 160_000 }
const egress = { egressRate: 8_000_000, egressBurst: 160_000 }
const LIMITS: readonly (readonly [what: string, netconf: object, ingress: boolean, egress: boolean])[] = [
  ['only what is received', ingress, true, false],
  ['only what is sent', egress, false, true],
  ['nothing without rates', {}, false, false],
  ['nothing with rates of 0', { ...zero('ingress'), ...zero('egress') }, false, false],
  ['what the runtime says', { runtimeConfig: { bandwidth: ingress } }, true, false],
  [
    'what go-cni says, in its case',
    {
      RuntimeConfig: {
        Bandwidth: { IngressRate: 1e6, IngressBurst: 2 ** 32 - 1, EgressRate: 0, EgressBurst: 0 },
      },
    },
    true,
    false,
  ],
  [
    'what the config says before the runtime',
    { ...ingress, runtimeConfig: { bandwidth: egress } },
    true,
    false,
  ],
  ['nothing when the config says 0', { ingressRate: 0, runtimeConfig: { bandwidth: egress } }, false, false],
]

function zero(direction: string) {
  return { [`${direction}Rate`]: 0, [`${direction}Burst`]: 0 }
}

for (const [what, netconf, hasIngress, hasEgress] of LIMITS)
  test(`ADD limits ${what}`, async (t) => {
    const { scene, fresh, add, check, del } = await start()
    const whole = { name: 'net', cniVersion: '1.1.0', ...netconf }
    const result = await add(whole)
    t.equal(/host0 .*root tbf/.test(scene.dump()), hasIngress)
    t.equal(/host0 .*redirect bwp/.test(scene.dump()), hasEgress)
    t.equal(result.interfaces?.length, hasEgress ? 4 : 3)
    await check(whole)
    await del()
    t.equal(scene.dump(), fresh)
  })

const REFUSED: readonly (readonly [what: string, netconf: object, code: number, message: string])[] = [
  ['a rate without a burst', { ingressRate: 1 }, 7, 'if rate is set, burst must also be set'],
  ['a burst without a rate', { egressBurst: 1 }, 7, 'if burst is set, rate must also be set'],
  [
    'a burst of 4 GB',
    { ingressRate: 1, ingressBurst: 8 * (2 ** 32 - 1) },
    7,
    'burst cannot be more than 4GB',
  ],
  [
    'a text',
    { runtimeConfig: { bandwidth: { ingressRate: '1M' } } },
    7,
    'runtimeConfig.bandwidth.ingressRate: expected an integer, got a string',
  ],
  ['a negative rate', { egressRate: -1 }, 7, 'egressRate: expected at least 0, got -1'],
]

for (const [what, netconf, code, message] of REFUSED)
  test(`ADD refuses ${what}`, async (t) => {
    const { scene, fresh, add } = await start()
    await t.rejects(add({ name: 'net', ...netconf }), { code, message })
    t.equal(scene.dump(), fresh)
  })

test('ADD refuses to be the first of its chain, or to limit what is no wire', async (t) => {
  const { scene, add } = await start()
  const first = scene.request('ADD', NETCONF)
  await t.rejects(plugin.add(scene.ports, first), { code: 7, message: 'must be called as chained plugin' })
  const prevResult = { interfaces: [{ name: 'br0' }] }
  await t.rejects(add(NETCONF, { prevResult }), { message: /no veth peer of container interface found/ })
  await t.rejects(add(NETCONF, { ifname: 'eth9' }), { message: /interface eth9 has no veth peer/ })
  t.strictSame(scene.kernel.openHandles(), [])
})

test('two interfaces of one container in one network have limits of their own', async (t) => {
  const { scene, fresh, add, del } = await start()
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  const peer = { name: 'eth1', netnsFd: pod.fd }
  await scene.kernel.host.rtnl.apply({ change: 'create link', link: { kind: 'veth', name: 'host1', peer } })
  pod.close()
  await add()
  const one = scene.dump()
  const prevResult = { interfaces: [{ name: 'host1' }, { name: 'eth1', sandbox: '/run/netns/pod-1' }] }
  await add(NETCONF, { ifname: 'eth1', prevResult })
  t.equal(host(scene.dump()).filter((line) => line.includes(' ifb ')).length, 2)
  await del({ ifname: 'eth1' })
  t.equal(scene.dump(), one)
  await scene.kernel.host.rtnl.apply({ change: 'delete link', link: 'host1' })
  await del()
  t.equal(scene.dump(), fresh)
})

test('an ADD that fails at any step leaves nothing', async (t) => {
  const { scene, fresh, add } = await start()
  const steps: string[] = []
  scene.refuse = (operation) => {
    steps.push(operation)
    return undefined
  }
  await add()
  await verbsOf(scene).del()
  const changes = steps.filter((step) => /^(?:record|ip link (?:add|set)|tc \S+ add)/.test(step))
  t.equal(changes.length, 8)
  for (const change of new Set(changes.map((step) => step.replace(/ dev.*| name.*/, '')))) {
    let isRefused = false
    scene.refuse = (operation) => {
      if (isRefused || !operation.startsWith(change)) return undefined
      isRefused = true
      return 'EPERM'
    }
    await t.rejects(add(), { message: /EPERM/ }, change)
    t.equal(scene.dump(), fresh, change)
  }
})

test('a second ADD begins from what was before the first', async (t) => {
  const { scene, fresh, add, check, del } = await start()
  await add()
  await add({ ...NETCONF, ingressRate: 24_000_000 })
  t.match(scene.dump(), 'rate 3000000bps')
  t.equal(host(scene.dump()).length, 2)
  await check()
  await del()
  t.equal(scene.dump(), fresh)
})

test('DEL needs neither namespace nor wire, and works twice', async (t) => {
  const { scene, add, del } = await start()
  await add()
  await scene.kernel.host.rtnl.apply({ change: 'delete link', link: 'host0' })
  await del({ netns: '' })
  t.notMatch(scene.dump(), /bwp|attachment/)
  await del({ netns: '' })
})

test('DEL leaves what others have put in the place of its limits', async (t) => {
  const { scene, add, del } = await start()
  const { rtnl } = scene.kernel.host
  await add()
  const { index } = await rtnl.getLink('host0')
  await rtnl.apply(
    { change: 'delete link', link: 'bwp010203040506' },
    { change: 'delete qdisc', dev: index, parent: 'ingress' },
    { change: 'create link', link: { kind: 'ifb', name: 'bwp010203040506' } },
    { change: 'create link', link: { kind: 'ifb', name: 'other' } },
    { change: 'add qdisc', dev: index, qdisc: { kind: 'ingress' } },
  )
  const { index: to } = await rtnl.getLink('other')
  await rtnl.apply({ change: 'add redirect', redirect: { dev: index, to } })
  await del()
  t.match(scene.dump(), /link bwp010203040506 ifb/)
  t.match(scene.dump(), /link host0 .*ingress.*redirect other/)
  t.notMatch(scene.dump(), /tbf/)
})

test('DEL leaves a filter of others that came beside ours', async (t) => {
  const { scene, add, del } = await start()
  const { rtnl } = scene.kernel.host
  await add()
  await rtnl.apply({ change: 'create link', link: { kind: 'ifb', name: 'other' } })
  const [{ index: dev }, { index: to }] = [await rtnl.getLink('host0'), await rtnl.getLink('other')]
  await rtnl.apply({ change: 'add redirect', redirect: { dev, to } })
  await del()
  t.match(scene.dump(), /link host0 .*\{ ingress \}.* redirect other/)
  t.notMatch(scene.dump(), /bwp|tbf/)
})

test('DEL leaves a link of another name that has the index of the wire by now', async (t) => {
  const { scene, add, del } = await start()
  const { rtnl } = scene.kernel.host
  await add()
  const { index } = await rtnl.getLink('host0')
  await rtnl.apply({ change: 'set link', link: index, set: { name: 'theirs' } })
  await del()
  t.match(scene.dump(), /link theirs .*\{ root tbf rate 1000000bps .*\{ ingress \}/)
  t.notMatch(scene.dump(), /bwp|attachment/)
})

// printf netpod-1 | sha512sum | cut -c-12
const UPSTREAM_NAME = 'bwp4ff8982b6c35'

const bucket = { kind: 'tbf', rateBytesPerSecond: 9, burstBytes: 9000, limitBytes: 9000 } as const

const TAKEN: readonly (readonly [what: string, take: (dev: IfIndex) => Change[]])[] = [
  ['a bucket of its own', (dev) => [{ change: 'add qdisc', dev, qdisc: bucket }]],
  ['a place for filters', (dev) => [{ change: 'add qdisc', dev, qdisc: { kind: 'ingress' } }]],
  [
    'a filter',
    (dev) => [
      { change: 'add qdisc', dev, qdisc: { kind: 'ingress' } },
      { change: 'add redirect', redirect: { dev, to: dev } },
    ],
  ],
]

for (const [what, take] of TAKEN)
  test(`ADD refuses a link on which another program has ${what}, and touches nothing of it`, async (t) => {
    const { scene, add } = await start()
    const { rtnl } = scene.kernel.host
    await rtnl.apply(...take((await rtnl.getLink('host0')).index))
    const before = scene.dump()
    const details = 'another program shapes or filters host0: tc qdisc show dev host0'
    await t.rejects(add(), { code: 999, message: /EEXIST/, details })
    t.equal(scene.dump(), before)
  })

test('ADD leaves no place for filters when there is no filter', async (t) => {
  const { scene, fresh, add } = await start({ missing: ['action mirred'] })
  await t.rejects(add(), { code: 999, details: /CONFIG_NET_ACT_MIRRED/ })
  t.equal(scene.dump(), fresh)
})

test('DEL removes the intermediate interface of a pod that upstream limited', async (t) => {
  const { scene, fresh, del } = await start()
  const { rtnl } = scene.kernel.host
  const make = (name: string) => rtnl.apply({ change: 'create link', link: { kind: 'ifb', name } })
  await make('bwp000000000000')
  const others = scene.dump()
  await make(UPSTREAM_NAME)
  await del()
  t.equal(scene.dump(), others)
  await rtnl.apply({ change: 'delete link', link: 'bwp000000000000' })
  t.equal(scene.dump(), fresh)
})

interface Indices {
  readonly host: IfIndex
  readonly detour: IfIndex
}

const DRIFTS: readonly (readonly [what: string, changes: (dev: Indices) => Change[], found: RegExp])[] = [
  [
    'the limit of what is received is gone',
    ({ host }) => [{ change: 'delete qdisc', dev: host, parent: 'root' }],
    /host interface host0 has no limit of its rate$/,
  ],
  [
    'it is another one',
    ({ host }) => [
      { change: 'delete qdisc', dev: host, parent: 'root' },
      { change: 'add qdisc', dev: host, qdisc: bucket },
    ],
    /a rate of 9 bytes per second, expected 1000000; .* a queue of 9000 .*; .* a burst of \d+ ticks of 64 ns, expected 312500$/,
  ],
  [
    'nothing is sent to the intermediate interface',
    ({ host }) => [{ change: 'delete qdisc', dev: host, parent: 'ingress' }],
    /host0 does not send what it receives to bwp010203040506$/,
  ],
  [
    'the limit of what is sent is gone',
    ({ detour }) => [{ change: 'delete qdisc', dev: detour, parent: 'root' }],
    /intermediate interface bwp010203040506 has no limit of its rate$/,
  ],
  [
    'the intermediate interface is down',
    ({ detour }) => [{ change: 'set link', link: detour, set: { up: false } }],
    /interface bwp010203040506 is down$/,
  ],
  [
    'the intermediate interface has another MTU',
    ({ detour }) => [{ change: 'set link', link: detour, set: { mtu: 1300 } }],
    /has mtu 1300, expected 1450$/,
  ],
  [
    'the intermediate interface is gone',
    ({ detour }) => [{ change: 'delete link', link: detour }],
    /intermediate interface bwp010203040506 is gone$/,
  ],
]

for (const [what, changes, message] of DRIFTS)
  test(`CHECK finds that ${what}, and repair mends it`, async (t) => {
    const { scene, add, check, repair } = await start()
    const { rtnl } = scene.kernel.host
    await add()
    await check()
    const made = scene.dump()
    const [host, detour] = [await rtnl.getLink('host0'), await rtnl.getLink('bwp010203040506')]
    for (const change of changes({ host: host.index, detour: detour.index })) await rtnl.apply(change)
    await t.rejects(check(), { code: 100, message })
    t.match(await repair(), { mended: [/./], left: [] })
    await check()
    t.equal(scene.dump(), made)
    t.strictSame(await repair(), { mended: [], left: [] })
  })

test('CHECK and repair tell that the wire is gone', async (t) => {
  const { scene, add, check, repair } = await start()
  await add()
  await scene.kernel.host.rtnl.apply({ change: 'delete link', link: 'host0' })
  await t.rejects(check(), { code: 100, message: /host interface host0 is gone$/ })
  t.strictSame(await repair(), { mended: [], left: ['host interface host0 is gone'] })
})

test('GC takes back what is not valid, and what has no record', async (t) => {
  const { scene, add, gc } = await start()
  const pod = { containerID: 'pod-1', ifname: 'eth0' }
  await add()
  const made = scene.dump()
  await gc({})
  await gc({ 'cni.dev/valid-attachments': [pod] })
  t.equal(scene.dump(), made)
  const key = { plugin: 'cni-bandwidth', network: 'net', containerId: 'pod-1', ifname: 'eth0' }
  scene.ports.attachments.delete(key)
  await gc({ 'cni.dev/valid-attachments': [pod] })
  await gc({})
  t.match(scene.dump(), /link bwp010203040506/, 'it may be a live pod’s')
  await gc({ 'cni.dev/valid-attachments': [] })
  t.notMatch(scene.dump(), /bwp/)
})

test('GC takes back by the record', async (t) => {
  const { scene, fresh, add, gc } = await start()
  await add()
  await gc({ 'cni.dev/valid-attachments': [] })
  t.equal(scene.dump(), fresh)
})

test('STATUS names what the kernel lacks, and ADD does', async (t) => {
  const { scene, fresh, add, status } = await start({ missing: ['link ifb', 'qdisc tbf'] })
  const remedy = /CONFIG_NET_SCH_TBF \(modprobe sch_tbf\); .* CONFIG_IFB \(modprobe ifb\)/
  await t.rejects(status(), {
    code: 50,
    message: 'the kernel has no qdisc tbf; the kernel has no link ifb',
    details: remedy,
  })
  await t.rejects(add(), { code: 999, message: /Specified qdisc kind is unknown/, details: remedy })
  t.equal(scene.dump(), fresh)
})

test('STATUS is ready, or says that nothing can be recorded', async (t) => {
  const { scene, fresh, status } = await start()
  await status()
  t.equal(scene.dump(), fresh)
  scene.refuse = (operation) => (operation === 'probe the store' ? 'ENOSPC' : undefined)
  await t.rejects(status(), { code: 50, message: /attachments cannot be recorded/, details: 'free space' })
})
