// A small chained plugin on a node in memory: it writes an alias on the pod's interface.

import { test } from 'tap'
import type { Request } from '../cni/request.ts'
import type { Result } from '../cni/result.ts'
import { openPodNamespace } from '../host/pod-namespace.ts'
import type { Ports } from '../host/ports.ts'
import type { Attachment } from '../state/attachments.ts'
import { makeScene, type Pod, type Scene } from '../testing/scene.ts'
import { addChained, type ChainedPlugin, checkChained, delChained, gcChained } from './chained.ts'
import { differences } from './drift.ts'
import { findDeadRecords } from './recorded.ts'

interface AliasRecord {
  readonly netns: string
  readonly alias: string
  readonly before: string
}

const withPod = async <T>(
  ports: Ports,
  request: Request,
  work: (alias: string, set: (alias: string) => Promise<void>) => T,
) => {
  const pod = openPodNamespace(ports.kernel, request)
  try {
    const link = await pod.rtnl.getLink(request.ifname)
    const set = (alias: string) => pod.rtnl.apply({ change: 'set link', link: link.index, set: { alias } })
    return await work(link.alias ?? '', set)
  } finally {
    pod.close()
  }
}

const aliasing: ChainedPlugin<AliasRecord> = {
  plugin: 'test-alias',
  async plan(ports, request) {
    const alias = String(request.netconf['alias'] ?? '')
    if (alias === '') return undefined
    return withPod(ports, request, (before) => ({ netns: request.netns, alias, before }))
  },
  async make(ports, request, { record, prevResult }) {
    await withPod(ports, request, (_, set) => set(record.alias))
    if (record.alias === 'refused') throw new Error('refused')
    return prevResult
  },
  compare: (ports, request, { record }) =>
    withPod(ports, request, (alias) => differences('interface', [['alias', record.alias, alias]])),
  async takeBack(ports, request, { netns, before }) {
    await withPod(ports, { ...request, netns }, (_, set) => set(before)).catch(() => undefined)
  },
}

const RESULT: Result = { interfaces: [{ name: 'eth0', sandbox: '/run/netns/pod-1' }] }
const NETCONF = { name: 'net', cniVersion: '1.1.0', alias: 'new' }

async function start(): Promise<{ scene: Scene; fresh: string }> {
  const scene = makeScene()
  const { netns } = scene.request('ADD', NETCONF)
  const pod = scene.kernel.openNamespace(netns)
  const peer = { name: 'eth0', netnsFd: pod.fd }
  await scene.kernel.host.rtnl.apply({ change: 'create link', link: { kind: 'veth', name: 'host0', peer } })
  await pod.rtnl.apply({ change: 'set link', link: 'eth0', set: { alias: 'old' } })
  pod.close()
  return { scene, fresh: scene.dump() }
}

const add = (
  { ports, request }: Scene,
  netconf: object = NETCONF,
  pod: Partial<Pod> = { prevResult: RESULT },
) => addChained(ports, request('ADD', netconf, pod), aliasing)
const del = ({ ports, request }: Scene, pod: Partial<Pod> = {}) =>
  delChained(ports, request('DEL', {}, pod), aliasing)

test('a chained plugin makes what it records, and DEL takes it back', async (t) => {
  const { scene, fresh } = await start()
  t.equal(await add(scene), RESULT)
  t.match(scene.dump(), 'alias "new"')
  t.match(scene.dump(), 'attachment net pod-1 eth0')
  await del(scene)
  t.equal(scene.dump(), fresh)
  await del(scene)
  t.equal(scene.dump(), fresh, 'a second time')
  t.strictSame(scene.kernel.openHandles(), [])
})

test('DEL needs neither namespace nor config nor prevResult', async (t) => {
  const { scene, fresh } = await start()
  await add(scene)
  await del(scene, { netns: '' })
  t.equal(scene.dump(), fresh)
})

test('a chained plugin leaves nothing when it fails', async (t) => {
  const { scene, fresh } = await start()
  await t.rejects(add(scene, { ...NETCONF, alias: 'refused' }), { message: 'refused' })
  t.equal(scene.dump(), fresh)
})

test('a second ADD begins from what was before the first', async (t) => {
  const { scene, fresh } = await start()
  await add(scene)
  await add(scene, { ...NETCONF, alias: 'newer' })
  t.match(scene.dump(), 'alias "newer"')
  await del(scene)
  t.equal(scene.dump(), fresh)
})

test('a chained plugin that has nothing to do records nothing', async (t) => {
  const { scene, fresh } = await start()
  await add(scene, {})
  t.equal(scene.dump(), fresh)
  await checkChained(scene.ports, scene.request('CHECK', {}, { prevResult: RESULT }), aliasing)
})

test('a chained plugin refuses to be the first', async (t) => {
  const { scene } = await start()
  await t.rejects(add(scene, NETCONF, {}), { code: 7, message: 'must be called as chained plugin' })
  const check = (netconf: object, pod: Partial<Pod>) =>
    checkChained(scene.ports, scene.request('CHECK', netconf, pod), aliasing)
  await t.rejects(check(NETCONF, {}), { code: 7, message: 'Required prevResult missing' })
  await t.rejects(check(NETCONF, { prevResult: RESULT }), { code: 100, message: /nothing .* is recorded/ })
})

test('CHECK of a chained plugin names what is different', async (t) => {
  const { scene } = await start()
  await add(scene)
  const check = () =>
    checkChained(scene.ports, scene.request('CHECK', NETCONF, { prevResult: RESULT }), aliasing)
  await check()
  const pod = scene.kernel.openNamespace('/run/netns/pod-1')
  await pod.rtnl.apply({ change: 'set link', link: 'eth0', set: { alias: 'else' } })
  pod.close()
  await t.rejects(check(), { code: 100, message: /: interface has alias else, expected new$/ })
})

test('GC takes back what is not valid, and without a list what is dead', async (t) => {
  const { scene, fresh } = await start()
  const gc = (netconf: object) => gcChained(scene.ports, scene.request('GC', netconf), aliasing)
  await add(scene)
  const made = scene.dump()
  await gc({})
  await gc({ 'cni.dev/valid-attachments': [{ containerID: 'pod-1', ifname: 'eth0' }] })
  t.equal(scene.dump(), made)
  await gc({ 'cni.dev/valid-attachments': [] })
  t.equal(scene.dump(), fresh)
  await add(scene)
  scene.kernel.removeNamespace('/run/netns/pod-1')
  await gc({})
  t.notMatch(scene.dump(), 'attachment')
})

test('GC leaves alone what was added anew since it looked, and what a call is at', async (t) => {
  const { scene } = await start()
  await add(scene)
  const [made] = scene.ports.attachments.list()
  if (made === undefined) throw new Error('it was added')
  const dead = { ...made, netns: '/run/netns/gone' }
  const renew: Readonly<Record<string, (found: Attachment) => Attachment>> = {
    'later, under the same path': (found) => ({ ...found, createdAtMs: found.createdAtMs + 1 }),
    'in another namespace': (found) => ({ ...found, netns: made.netns }),
    'by another call': (found) => ({ ...found, callId: 'second' }),
  }
  for (const netconf of [NETCONF, { ...NETCONF, 'cni.dev/valid-attachments': [] }]) {
    for (const [how, change] of Object.entries(renew)) {
      scene.ports.attachments.put(dead)
      const [garbage] = findDeadRecords(scene.ports, scene.request('GC', netconf), aliasing)
      scene.ports.attachments.put(change(dead))
      const before = scene.dump()
      t.equal(await garbage?.remove(), false, how)
      t.equal(scene.dump(), before, how)
    }
  }
  const [busy] = findDeadRecords(
    { ...scene.ports, lockAttachment: () => undefined },
    scene.request('GC', { ...NETCONF, 'cni.dev/valid-attachments': [] }),
    aliasing,
  )
  t.equal(await busy?.remove(), false)
  const released: string[] = []
  const lockAttachment: Ports['lockAttachment'] = ({ plugin, containerId, ifname }) => {
    return () => void released.push(`${plugin} ${containerId} ${ifname}`)
  }
  const [garbage] = findDeadRecords(
    { ...scene.ports, lockAttachment },
    scene.request('GC', { ...NETCONF, 'cni.dev/valid-attachments': [] }),
    aliasing,
  )
  t.equal(await garbage?.remove(), true)
  t.equal(await garbage?.remove(), true, 'it is gone')
  t.strictSame(released, Array(2).fill(`${aliasing.plugin} pod-1 eth0`))
  t.notMatch(scene.dump(), 'attachment')
})

test('GC without a list leaves alone whose namespace the first process of the node sees', async (t) => {
  const { scene } = await start()
  await add(scene)
  scene.kernel.removeNamespace('/run/netns/pod-1')
  scene.kernel.addNamespace('/proc/1/root/run/netns/pod-1')
  const gc = (netconf: object) => gcChained(scene.ports, scene.request('GC', netconf), aliasing)
  await gc({})
  t.match(scene.dump(), 'attachment')
  await gc({ 'cni.dev/valid-attachments': [] })
  t.notMatch(scene.dump(), 'attachment', 'the runtime’s word decides')
})
