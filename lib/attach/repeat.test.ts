// A second ADD: of a runtime that tries again, and of the shim whose daemon has died in the middle of the first.

import { test } from 'tap'
import type { Request } from '../cni/request.ts'
import { openPodNamespace } from '../host/pod-namespace.ts'
import type { Ports } from '../host/ports.ts'
import { makeScene, type Scene } from '../testing/scene.ts'
import { completeRecord, putRecord, type RecordedPlugin } from './recorded.ts'
import { refuseRepeat } from './repeat.ts'

interface WireRecord {
  readonly netns: string
  readonly ipam: { readonly type: string }
}

const PLUGIN = 'test-wire'
const NETCONF = { name: 'net', cniVersion: '1.1.0', ipam: { type: 'test-ipam' } }
const FIRST = { PODWIRE_CALL: 'call-1' }
const SECOND = { ...FIRST, PODWIRE_RETRY: '1' }

const withPod = async <T>(
  { kernel }: Ports,
  request: Request,
  work: (rtnl: ReturnType<typeof openPodNamespace>['rtnl']) => Promise<T>,
): Promise<T> => {
  const pod = openPodNamespace(kernel, request)
  try {
    return await work(pod.rtnl)
  } finally {
    pod.close()
  }
}

const recorded: RecordedPlugin<WireRecord> = {
  plugin: PLUGIN,
  async takeBack(ports, request, { netns }) {
    await withPod(ports, { ...request, netns }, async (rtnl) => {
      const link = await rtnl.findLink('eth0')
      if (link !== undefined) await rtnl.apply({ change: 'delete link', link: link.index })
    })
  },
  ipamOf: ({ ipam }) => ipam,
}

const requestOf = (scene: Scene, environment: Record<string, string>): Request => ({
  ...scene.request('ADD', NETCONF),
  environment,
})

const repeat = (scene: Scene, environment: Record<string, string>) => {
  const request = requestOf(scene, environment)
  const isLive = ({ netns }: WireRecord) =>
    withPod(scene.ports, { ...request, netns }, async (rtnl) => (await rtnl.findLink('eth0')) !== undefined)
  return refuseRepeat(scene.ports, request, { recorded, isLive })
}

/** An ADD as far as it came. */
async function add(scene: Scene, until: 'lease' | 'record' | 'link' | 'complete', environment = FIRST) {
  const request = requestOf(scene, environment)
  const { ports } = scene
  await ports.delegates.inProcess('test-ipam', [])?.add(ports as never, request)
  if (until === 'lease') return
  const record = { netns: request.netns, ipam: NETCONF.ipam }
  putRecord(ports, request, { plugin: PLUGIN, record })
  if (until === 'record') return
  const link = { kind: 'bridge', name: 'eth0' } as const
  await withPod(ports, request, (rtnl) => rtnl.apply({ change: 'create link', link }))
  if (until === 'link') return
  completeRecord(ports, request, PLUGIN)
}

function start() {
  const scene = makeScene()
  scene.request('ADD', NETCONF)
  return { scene, fresh: scene.dump() }
}

test('a first ADD finds nothing, and takes nothing', async (t) => {
  const { scene, fresh } = start()
  await repeat(scene, {})
  await repeat(scene, FIRST)
  t.equal(scene.dump(), fresh)
})

test('the second try of a call takes back what the first has made, however far it came', async (t) => {
  for (const until of ['lease', 'record', 'link', 'complete'] as const) {
    const { scene, fresh } = start()
    await add(scene, until)
    t.not(scene.dump(), fresh, until)
    await repeat(scene, SECOND)
    t.equal(scene.dump(), fresh, until)
    t.strictSame(scene.kernel.openHandles(), [])
  }
})

test('the second try of a call that made nothing takes nothing', async (t) => {
  const { scene, fresh } = start()
  await repeat(scene, SECOND)
  t.equal(scene.dump(), fresh)
})

test('a live attachment of another call is refused, and nothing is taken from it', async (t) => {
  const rows: [what: string, environment: Record<string, string>][] = [
    ['a runtime that adds twice', {}],
    ['by the daemon', { PODWIRE_CALL: 'call-2' }],
    ['the second try of another call', { PODWIRE_CALL: 'call-2', PODWIRE_RETRY: '1' }],
    ['the same call, not tried again', FIRST],
    ['a second try without a name', { PODWIRE_RETRY: '1' }],
    ['a second try with an empty name', { PODWIRE_CALL: '', PODWIRE_RETRY: '1' }],
  ]
  for (const [what, environment] of rows) {
    const { scene } = start()
    await add(scene, 'complete')
    const live = scene.dump()
    await t.rejects(
      repeat(scene, environment),
      { code: 999, message: 'pod-1 is already attached to net by eth0' },
      what,
    )
    t.equal(scene.dump(), live, what)
  }
})

test('the second try of a call does not take what was made by a call without a name', async (t) => {
  const { scene } = start()
  await add(scene, 'complete', {} as typeof FIRST)
  const live = scene.dump()
  await t.rejects(repeat(scene, SECOND), { code: 999 })
  await t.rejects(repeat(scene, { PODWIRE_RETRY: '1' }), { code: 999 })
  t.equal(scene.dump(), live)
})

test('what is half made goes, whichever call made it', async (t) => {
  for (const environment of [
    {},
    { PODWIRE_CALL: 'call-2' },
    { PODWIRE_CALL: 'call-2', PODWIRE_RETRY: '1' },
  ]) {
    const { scene, fresh } = start()
    await add(scene, 'link')
    await repeat(scene, environment)
    t.equal(scene.dump(), fresh)
  }
})

test('what is complete and whose interface is gone goes', async (t) => {
  const { scene, fresh } = start()
  await add(scene, 'complete')
  await withPod(scene.ports, requestOf(scene, {}), (rtnl) =>
    rtnl.apply({ change: 'delete link', link: 'eth0' }),
  )
  await repeat(scene, { PODWIRE_CALL: 'call-2' })
  t.equal(scene.dump(), fresh)
})

test('a lease of a first try stays when the second is another call’s', async (t) => {
  const { scene } = start()
  await add(scene, 'lease')
  const leased = scene.dump()
  await repeat(scene, {})
  t.equal(scene.dump(), leased, 'the IPAM plugin refuses it')
})

test('a first try that cannot be taken back fails the second, and stays recorded', async (t) => {
  const { scene } = start()
  await add(scene, 'complete')
  const made = scene.dump()
  scene.refuse = (operation) => (operation.includes('del') ? 'EPERM' : undefined)
  await t.rejects(repeat(scene, SECOND), { message: /EPERM/ })
  t.match(scene.dump(), 'attachment net pod-1 eth0')
  scene.refuse = () => undefined
  t.not(scene.dump(), made, 'the lease is released: everything is attempted')
  await repeat(scene, SECOND)
  t.notMatch(scene.dump(), 'attachment')
})
