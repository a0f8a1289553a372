// The plugin on a node in memory.

import { test } from 'tap'
import type { Command } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { NftChain } from '../../lib/nftables/chain.ts'
import { podwireTable } from '../../lib/nftables/masquerade-rules.ts'
import { spoofTable } from '../../lib/nftables/spoof-table.ts'
import { accept, drop } from '../../lib/nftables/statement.ts'
import { makeScene, type Pod, type Scene } from '../../lib/testing/scene.ts'
import { meet } from '../../lib/testing/side-by-side.ts'
import { parseNetconf } from './netconf.ts'
import { plugin } from './plugin.ts'

const conf = (fields: object = {}) => ({ cniVersion: '1.1.0', name: 'net', type: 'cni-firewall', ...fields })
const pod = (number: number, more: Partial<Pod> = {}): Partial<Pod> => ({
  containerId: `pod-${number}`,
  prevResult: resultOf(number),
  ...more,
})

function resultOf(number: number, bridge = 'br0'): Result {
  return {
    interfaces: [{ name: bridge }, { name: 'eth0', sandbox: `/run/netns/pod-${number}` }],
    ips: [
      { address: `10.1.0.${number}/24`, interface: 1 },
      { address: `fd00:1::${number}/64`, interface: 1 },
    ],
  }
}

function call(scene: Scene, command: Command, netconf: object, who: Partial<Pod>): Promise<unknown> {
  const request = scene.request(command, netconf, who)
  const verb = command.toLowerCase() as 'add' | 'del' | 'check' | 'gc' | 'status'
  return plugin[verb]?.(scene.ports, request) ?? Promise.reject(new Error(`no ${verb}`))
}

const FORWARD: NftChain = {
  table: { family: 'ip', name: 'filter' },
  name: 'FORWARD',
  base: { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' },
}

/** As Docker leaves it: all that it does not know is dropped. */
async function installDocker({ kernel }: Scene): Promise<void> {
  const user = { ...FORWARD, base: undefined, name: 'DOCKER-USER' } as unknown as NftChain
  await kernel.host.nft.apply([
    { verb: 'add', table: FORWARD.table },
    { verb: 'add', chain: FORWARD },
    { verb: 'add', chain: { table: user.table, name: user.name } },
  ])
}

/** `name: elements`, of every set that has some. */
function elements(scene: Scene): string[] {
  return [...scene.dump().matchAll(/set (\S+) \{[^}]*?elements = \{ (.*) \}/g)].map(
    ([, name, text]) => `${name}: ${text}`,
  )
}

test('a pod is elements, by its policy, and none after DEL', async (t) => {
  const own = (key: string) => `${key} comment "net pod-5 eth0"`
  const PODS = [`firewall_pods_ipv4: ${own('10.1.0.5')}`, `firewall_pods_ipv6: ${own('fd00:1::5')}`]
  const CLOSED = [`firewall_closed_ipv4: ${own('10.1.0.5')}`, `firewall_closed_ipv6: ${own('fd00:1::5')}`]
  const rows = {
    open: PODS,
    'same-bridge': [
      ...PODS,
      ...CLOSED,
      `firewall_ingress_ipv4: ${own('"br0" . 10.1.0.5')}`,
      `firewall_ingress_ipv6: ${own('"br0" . fd00:1::5')}`,
      'firewall_bridges: "br0"',
    ],
    isolated: [
      `isolated_ipv4: ${own('10.1.0.5')}`,
      `isolated_ipv6: ${own('fd00:1::5')}`,
      ...PODS,
      ...CLOSED,
      'firewall_bridges: "br0"',
    ],
  }
  for (const [ingressPolicy, expected] of Object.entries(rows)) {
    const scene = makeScene()
    scene.request('ADD', {}, pod(5))
    const before = scene.dump()
    t.strictSame(await call(scene, 'ADD', conf({ ingressPolicy }), pod(5)), resultOf(5))
    t.strictSame(elements(scene).sort(), expected.toSorted(), ingressPolicy)
    await call(scene, 'CHECK', conf({ ingressPolicy }), pod(5))
    await call(scene, 'ADD', conf({ ingressPolicy }), pod(5))
    await call(scene, 'DEL', {}, { containerId: 'pod-5', netns: '' })
    await call(scene, 'DEL', {}, { containerId: 'pod-5', netns: '' })
    t.equal(scene.dump(), before, ingressPolicy)
  }
})

test('a bridge counts until its last pod that is not open has gone', async (t) => {
  const scene = makeScene()
  const same = conf({ ingressPolicy: 'same-bridge' })
  for (const number of [5, 6]) await call(scene, 'ADD', same, pod(number))
  await call(scene, 'ADD', conf(), pod(7))
  await call(scene, 'DEL', {}, pod(5))
  t.match(elements(scene).join('\n'), 'firewall_bridges: "br0"')
  await call(scene, 'CHECK', same, pod(6))
  await call(scene, 'DEL', {}, pod(6))
  t.notMatch(elements(scene).join('\n'), 'firewall_bridges')
  await call(scene, 'CHECK', conf(), pod(7))
})

test('a chain of others that drops gets one rule, which goes with the last pod', async (t) => {
  const scene = makeScene()
  await installDocker(scene)
  scene.request('ADD', {}, pod(5))
  scene.request('ADD', {}, pod(6))
  const before = scene.dump()
  const RULE = /meta mark & 0x00001000 == 0x00001000 counter accept comment "podwire: pods of cni-firewall"/g
  const count = () => scene.dump().match(RULE)?.length ?? 0
  for (const number of [5, 6]) await call(scene, 'ADD', conf(), pod(number))
  t.equal(count(), 1)
  await call(scene, 'DEL', {}, pod(5))
  t.equal(count(), 1)
  await call(scene, 'CHECK', conf(), pod(6))
  await call(scene, 'DEL', {}, pod(6))
  t.equal(scene.dump(), before)
})

test('CHECK and STATUS name a firewall that came later, and repair opens it', async (t) => {
  const scene = makeScene()
  await call(scene, 'STATUS', conf(), {})
  await call(scene, 'ADD', conf(), pod(5))
  await installDocker(scene)
  const words =
    'chain ip filter FORWARD (policy drop) drops what the pod sends: no rule "meta mark & 0x00001000 == 0x00001000 counter accept comment \\"podwire: pods of cni-firewall\\"" in it'
  await t.rejects(call(scene, 'CHECK', conf(), pod(5)), {
    code: 100,
    message: `attachment is not as ADD made it: ${words}`,
  })
  await call(scene, 'STATUS', conf(), {}) // it may be in the making
  scene.nowMs += 20_000
  await t.rejects(call(scene, 'STATUS', conf(), {}), { code: 51, message: words, details: 'podwire repair' })
  const repaired = await plugin.repair?.(scene.ports, scene.request('CHECK', {}, pod(5)))
  t.strictSame(repaired, { mended: [words], left: [] })
  await call(scene, 'CHECK', conf(), pod(5))
  await call(scene, 'STATUS', conf(), {})
})

test('a firewall that lets nobody change it is named, and nothing is left', async (t) => {
  const scene = makeScene()
  await installDocker(scene)
  scene.request('ADD', {}, pod(5))
  const before = scene.dump()
  scene.refuse = (operation) => (operation.startsWith('insert rule ip filter') ? 'EPERM' : undefined)
  await t.rejects(call(scene, 'ADD', conf(), pod(5)), {
    code: 999,
    message: /^other firewalls drop what pods send: insert rule ip filter FORWARD .*: EPERM/,
    details: /^the table belongs to a program that lets nobody else change it/,
  })
  t.equal(scene.dump(), before)
})

test('the administrator’s chain comes first, and stays as it is', async (t) => {
  const scene = makeScene()
  const { nft } = scene.kernel.host
  const chain = { table: podwireTable, name: 'CNI-ADMIN' }
  await call(scene, 'ADD', conf(), pod(5))
  await nft.apply([{ verb: 'add', rule: { chain, body: [drop] } }])
  await call(scene, 'ADD', conf({ iptablesAdminChainName: 'mine' }), pod(6))
  t.match(scene.dump(), 'jump CNI-ADMIN\n\t\tjump mine\n\t\tiifname @firewall_bridges')
  await call(scene, 'CHECK', conf(), pod(5))
  await call(scene, 'DEL', {}, pod(6))
  t.match(scene.dump(), 'jump CNI-ADMIN\n\t\tiifname @firewall_bridges')
  t.match(scene.dump(), 'chain CNI-ADMIN {\n\t\tdrop\n\t}')
  await call(scene, 'CHECK', conf(), pod(5))
})

test('what was flushed comes back with another pod’s ADD, and by repair', async (t) => {
  const scene = makeScene()
  const { nft } = scene.kernel.host
  const isolated = conf({ ingressPolicy: 'isolated' })
  await call(scene, 'ADD', isolated, pod(5))
  const flush = () =>
    nft.apply([
      { verb: 'delete', table: podwireTable },
      { verb: 'delete', table: spoofTable },
    ])
  await flush()
  await t.rejects(call(scene, 'CHECK', isolated, pod(5)), {
    code: 100,
    message:
      /chain inet podwire CNI-ADMIN: missing.*firewall_bridges { "br0" }: missing.*chain bridge podwire forward: missing.*isolated_ipv6 { fd00:1::5 }: missing$/,
  })
  scene.nowMs += 20_000
  await t.rejects(call(scene, 'STATUS', conf(), {}), {
    code: 51,
    message: /^firewall rules of pods are lost: chain/,
  })
  await call(scene, 'ADD', conf(), pod(6))
  await call(scene, 'CHECK', isolated, pod(5))
  await flush()
  const { left } = (await plugin.repair?.(scene.ports, scene.request('CHECK', {}, pod(5)))) ?? {}
  t.strictSame(left, [])
  for (const number of [5, 6]) await call(scene, 'CHECK', conf(), pod(number))
})

test('what was flushed of bridges alone comes back with the ADD of another isolated pod', async (t) => {
  const scene = makeScene()
  const isolated = conf({ ingressPolicy: 'isolated' })
  await call(scene, 'ADD', isolated, pod(5))
  await scene.kernel.host.nft.apply([{ verb: 'delete', table: spoofTable }])
  await call(scene, 'ADD', isolated, pod(6))
  for (const number of [5, 6]) await t.resolves(call(scene, 'CHECK', isolated, pod(number)))
})

test('DEL and GC find what has no record, by its owner', async (t) => {
  const scene = makeScene()
  for (const number of [5, 6, 7]) await call(scene, 'ADD', conf(), pod(number))
  for (const containerId of ['pod-5', 'pod-6'])
    scene.ports.attachments.delete({ plugin: 'cni-firewall', network: 'net', containerId, ifname: 'eth0' })
  await call(scene, 'DEL', {}, pod(5))
  t.notMatch(scene.dump(), 'pod-5 eth0')
  await call(scene, 'GC', conf(), {})
  t.match(scene.dump(), 'pod-6 eth0', 'without a list, what has no record may be alive')
  const valid = { 'cni.dev/valid-attachments': [{ containerID: 'pod-7', ifname: 'eth0' }] }
  const found = await plugin.findGarbage?.(scene.ports, scene.request('GC', conf(valid)))
  t.strictSame(
    found?.map(({ what }) => what),
    [
      'firewall: element inet podwire firewall_pods_ipv4 { 10.1.0.6 } (net pod-6 eth0)',
      'firewall: element inet podwire firewall_pods_ipv6 { fd00:1::6 } (net pod-6 eth0)',
    ],
  )
  await call(scene, 'GC', conf(valid), {})
  t.notMatch(scene.dump(), 'pod-6 eth0')
  await call(scene, 'CHECK', conf(), pod(7))
})

test('ADD takes everything back when a step fails', async (t) => {
  for (const failing of [
    'record the attachment',
    'destroy element inet',
    'add table inet',
    'add table bridge',
  ]) {
    const scene = makeScene()
    scene.request('ADD', {}, pod(5))
    const before = scene.dump()
    let isReached = false
    scene.refuse = (operation) => {
      if (!operation.includes(failing) || isReached) return undefined
      isReached = true
      return 'EPERM'
    }
    await t.rejects(call(scene, 'ADD', conf({ ingressPolicy: 'isolated' }), pod(5)), failing)
    t.ok(isReached, `${failing} is reached`)
    t.equal(scene.dump(), before, failing)
  }
})

test('a pod that comes while the last one goes has all that it needs', async (t) => {
  const same = conf({ ingressPolicy: 'same-bridge' })
  for (const order of ['DEL first', 'ADD first']) {
    let [after, met] = [0, true]
    for (; met; after++) {
      const scene = makeScene()
      await installDocker(scene)
      await call(scene, 'ADD', same, pod(5))
      const calls = [() => call(scene, 'DEL', {}, pod(5)), () => call(scene, 'ADD', same, pod(6))] as const
      const [first, second] = order === 'DEL first' ? calls : ([calls[1], calls[0]] as const)
      met = await meet({ first, second, after })
      await call(scene, 'CHECK', same, pod(6)).catch((error) => t.error(error, `${order}, after ${after}`))
    }
    t.ok(after > 20, `${order}: met at ${after} steps`)
  }
})

test('what is restored of a pod whose DEL ends meanwhile goes again', async (t) => {
  const scene = makeScene()
  const { attachments, kernel } = scene.ports
  await call(scene, 'ADD', conf(), pod(5))
  await kernel.host.nft.apply([{ verb: 'delete', table: podwireTable }])
  const [attachment] = attachments.list({ containerId: 'pod-5' })
  let isRestored = false
  scene.refuse = (operation) => {
    if (attachment && operation.startsWith('destroy element') && operation.includes('10.1.0.5')) {
      isRestored = true
      attachments.delete(attachment)
    }
    return undefined
  }
  await call(scene, 'ADD', conf(), pod(6))
  t.ok(isRestored)
  t.match(elements(scene).join('\n'), '10.1.0.6')
  t.notMatch(elements(scene).join('\n'), '10.1.0.5')
})

test('pods that come at the same time are one rule in a chain of others', async (t) => {
  for (let [after, met] = [0, true]; met; after++) {
    const scene = makeScene()
    await installDocker(scene)
    const add = (number: number) => () => call(scene, 'ADD', conf(), pod(number))
    met = await meet({ first: add(5), second: add(6), after })
    const rules = scene.dump().match(/comment "podwire: pods of cni-firewall"/g) ?? []
    t.equal(rules.length, 1, `after ${after}`)
  }
})

test('isolated says what it needs where nftables has no bridges', async (t) => {
  const scene = makeScene({ nftables: 'no bridge' })
  await t.rejects(call(scene, 'ADD', conf({ ingressPolicy: 'isolated' }), pod(5)), {
    code: 999,
    details: /^ingressPolicy "isolated" needs nftables for bridges/,
  })
  await call(scene, 'ADD', conf({ ingressPolicy: 'same-bridge' }), pod(5))
  await t.rejects(call(makeScene({ nftables: 'none' }), 'STATUS', conf(), {}), { code: 50 })
})

test('a chain without bridge or prevResult is refused in upstream’s words', async (t) => {
  const scene = makeScene()
  for (const command of ['ADD', 'CHECK'] as const)
    await t.rejects(call(scene, command, conf(), { containerId: 'pod-5' }), {
      code: 7,
      message: 'missing prevResult from earlier plugin',
    })
  const bare = { ips: [{ address: '10.1.0.5/24' }] }
  await t.rejects(call(scene, 'ADD', conf({ ingressPolicy: 'same-bridge' }), pod(5, { prevResult: bare })), {
    code: 7,
    message:
      'interface needs to be set for ingress policy "same-bridge", make sure to chain "firewall" plugin with "bridge"',
  })
  await call(scene, 'ADD', conf(), pod(5, { prevResult: bare }))
  t.strictSame(await call(scene, 'ADD', conf(), pod(6, { prevResult: {} })), {})
  await call(scene, 'CHECK', conf(), pod(6, { prevResult: {} }))
})

test('a rule of others that accepts all is left alone', async (t) => {
  const scene = makeScene()
  await installDocker(scene)
  await scene.kernel.host.nft.apply([{ verb: 'add', rule: { chain: FORWARD, body: [accept] } }])
  await call(scene, 'ADD', conf(), pod(5))
  t.notMatch(scene.dump(), 'podwire: pods of cni-firewall')
})

const REFUSED: readonly [object, number, string | RegExp][] = [
  [{ backend: 'pf' }, 7, 'unrecognized backend "pf"'],
  [{ ingressPolicy: 'closed' }, 7, 'unknown ingress policy: "closed"'],
  [{ iptablesAdminChainName: 'a b' }, 7, 'iptablesAdminChainName: "a b" is no name for a chain here'],
  [{ iptablesAdminChainName: 'hostports' }, 7, /is no name for a chain here$/],
  [{ iptablesAdminChainName: 'x'.repeat(29) }, 7, /is no name for a chain here$/],
  [{ backend: 'firewalld', firewalldZone: 'public' }, 2, /^firewalldZone "public" is not supported/],
]

for (const [netconf, code, message] of REFUSED) {
  test(`the config is refused when it is ${JSON.stringify(netconf)}`, (t) => {
    t.throws(() => parseNetconf(netconf as Record<string, unknown>), { code, message })
    t.end()
  })
}

test('the config is taken with every backend of upstream', (t) => {
  for (const backend of ['', 'iptables', 'firewalld', 'nftables'])
    t.strictSame(parseNetconf({ backend }), { policy: 'open', adminChain: 'CNI-ADMIN' })
  t.strictSame(parseNetconf({ firewalldZone: 'public', iptablesAdminChainName: '' }), {
    policy: 'open',
    adminChain: 'CNI-ADMIN',
  })
  t.strictSame(plugin.supportedVersions, ['0.4.0', '1.0.0', '1.1.0'])
  t.end()
})
