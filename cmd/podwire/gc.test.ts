// `podwire gc` with the real stores, on a kernel in memory.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { FakeKernel } from '../../lib/host/kernel-fake.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { allocate } from '../../lib/ipam/allocator.ts'
import { MemoryLeaseStore } from '../../lib/ipam/lease-store-memory.ts'
import { SqliteLeaseStore } from '../../lib/ipam/lease-store-sqlite.ts'
import { parseRangeSets } from '../../lib/ipam/range-set.ts'
import { MemoryAttachmentStore } from '../../lib/state/attachments-memory.ts'
import { run } from './commands.ts'
import { PLUGINS } from './registry.ts'

const BOOT = 'boot-1'
const SETS = parseRangeSets({ subnet: '10.1.0.0/24' })

/** Pods of two data directories; one of each whose attachment is recorded, so that the directory is known. */
function makeNode(t: Test, lockAttachment: Ports['lockAttachment'] = () => () => undefined) {
  const root = t.testdir({ one: {}, other: {}, unused: {} })
  const kernel = new FakeKernel()
  const attachments = new MemoryAttachmentStore(BOOT)
  const stores = new Map<string, SqliteLeaseStore>()
  const machines = new MemoryLeaseStore(BOOT)
  const leases = (dataDir: string) => {
    if (!dataDir.startsWith(root)) return machines // not the leases of the machine that this runs on
    const store =
      stores.get(dataDir) ?? SqliteLeaseStore.open(join(dataDir, 'podwire-leases.db'), { bootId: BOOT })
    if (!stores.has(dataDir)) t.teardown(() => store.close())
    stores.set(dataDir, store)
    return store
  }
  const ports = {
    kernel,
    attachments,
    leases,
    lockAttachment,
    files: { find: () => undefined },
    clock: { nowMs: () => 2 },
    log: { isDebug: false, debug() {}, info() {}, error() {} },
  } as unknown as Ports
  const lease = (directory: string, network: string, containerId: string) => {
    const netns = `/run/netns/${containerId}`
    kernel.addNamespace(netns)
    const request = { network, containerId, ifname: 'eth0', netns, sets: SETS, nowMs: 1 }
    leases(join(root, directory)).transaction((tx) => allocate(tx, request))
  }
  const record = (directory: string, network: string, containerId: string) => {
    const key = { plugin: 'cni-bridge', network, containerId, ifname: 'eth0' }
    const ipam = { type: 'ipam-host-local', DataDir: join(root, directory) }
    const at = { netns: `/run/netns/${containerId}`, isComplete: true, bootId: BOOT, createdAtMs: 1 }
    attachments.put({ ...key, ...at, record: { ipam } })
  }
  const held = (directory: string) =>
    leases(join(root, directory)).read((reader) =>
      reader.listHeld().map(({ network, containerId }) => `${network} ${containerId}`),
    )
  const podwire = (...words: string[]) =>
    run(words, {
      version: '1',
      executable: '/x/podwire',
      plugins: PLUGINS,
      upstreamNames: {},
      openPorts: async () => ports,
      runDaemon: () => Promise.reject(new Error('no daemon here')),
      environment: {},
      isTerminal: false,
      columns: Number.POSITIVE_INFINITY,
      progress: () => undefined,
    })
  return { root, kernel, lease, record, held, podwire }
}

test('gc finds leases of namespaces that are gone in every directory that attachments name', async (t) => {
  const { root, kernel, lease, record, held, podwire } = makeNode(t)
  for (const [directory, network, ...ids] of [
    ['one', 'net', 'alive1', 'dead1'],
    ['other', 'net2', 'alive2', 'dead2'],
  ] as const) {
    for (const id of ids) lease(directory, network, id)
    record(directory, network, ids[0])
  }
  lease('other', 'unrecorded', 'dead3')
  record('unused', 'net3', 'alive3')
  kernel.addNamespace('/run/netns/alive3')
  for (const id of ['dead1', 'dead2', 'dead3']) kernel.removeNamespace(`/run/netns/${id}`)

  const expected = [
    ['10.1.0.3', 'net', 'dead1'],
    ['10.1.0.3', 'net2', 'dead2'],
    ['10.1.0.2', 'unrecorded', 'dead3'],
  ].map(
    ([address, network, id]) => `lease ${address} of network ${network}: ${address} held by container ${id}`,
  )
  for (const [words, verb] of [
    [['gc', '--dry-run'], 'would remove'],
    [['gc'], 'removed'],
  ] as const) {
    const { stdout, exitStatus } = await podwire(...words)
    t.equal(exitStatus, 0)
    const lines = stdout.trimEnd().split('\n')
    t.equal(lines.length, expected.length, stdout)
    for (const text of expected) t.match(stdout, `${verb} ${text}`)
    t.match(lines[0], /; its network namespace \/run\/netns\/dead1 is gone$/)
  }
  t.same(held('one'), ['net alive1'])
  t.same(held('other'), ['net2 alive2'])
  t.same(readdirSync(join(root, 'unused')), [], 'no store is made to look into it')
  t.match(await podwire('gc'), { stdout: 'nothing to remove\n' })
  t.notOk(existsSync(join(root, 'unused', 'podwire-leases.db')))
})

test('gc tells what it leaves, since a call is at it', async (t) => {
  const { record, podwire } = makeNode(t, () => undefined)
  record('one', 'net', 'busy')
  const what = 'attachment of network net, container busy, interface eth0 (cni-bridge)'
  for (const [words, line] of [
    [['gc', '--dry-run'], `would remove ${what}: its network namespace is gone`],
    [['gc'], `left ${what}: it has been added anew, or a call is at it`],
  ] as const) {
    t.match(await podwire(...words), { stdout: `${line}\n`, exitStatus: 0 })
  }
})
