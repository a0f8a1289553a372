import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { Ports } from '../../lib/host/ports.ts'
import { allocate } from '../../lib/ipam/allocator.ts'
import { SqliteLeaseStore } from '../../lib/ipam/lease-store-sqlite.ts'
import { parseRangeSets } from '../../lib/ipam/range-set.ts'
import { changeLeases } from '../../lib/ipam/takeover.ts'
import { run } from './commands.ts'

const SETS = parseRangeSets({ subnet: '10.1.0.0/24' })
const FILES: Readonly<Record<string, string>> = {
  '/proc/stat': 'btime 1700000000\n',
  '/proc/1/stat': `1 (init) S ${'0 '.repeat(18)}0 1`,
}

/** A data directory with leases of ours, `network` by `network`. */
function makeDirectory(t: Test, ...networks: readonly string[]) {
  const directory = t.testdir({})
  const open = () => {
    const store = SqliteLeaseStore.open(join(directory, 'podwire-leases.db'), { bootId: 'boot-1' })
    t.teardown(() => store.close())
    return store
  }
  for (const network of networks) {
    const change = { network, nowMs: 1, bootedAtMs: () => 0, claimsNew: true, onTakeover: () => undefined }
    const request = { network, containerId: `of-${network}`, ifname: 'eth0', sets: SETS, nowMs: 1 }
    changeLeases(open(), change, (tx) => allocate(tx, request))
  }
  const ports = { leases: open, files: { find: (path: string) => FILES[path] } } as unknown as Ports
  const about = {
    version: '1',
    executable: '/x',
    plugins: [],
    upstreamNames: {},
    openPorts: async () => ports,
    runDaemon: async () => undefined,
    environment: {},
    isTerminal: false,
    columns: Number.POSITIVE_INFINITY,
    progress: () => undefined,
  }
  return { directory, podwire: (...words: string[]) => run(words, about) }
}

test('export writes every network as upstream keeps it, and prints what', async (t) => {
  const { directory, podwire } = makeDirectory(t, 'a', 'b')
  const { stdout, exitStatus } = await podwire('export', directory)
  t.equal(exitStatus, 0)
  t.equal(
    stdout.replaceAll(directory, 'DIR'),
    `DIR/a: upstream's again, 2 files
DIR/a/last_reserved_ip.0: 10.1.0.2
DIR/a/10.1.0.2: of-a eth0
DIR/b: upstream's again, 2 files
DIR/b/last_reserved_ip.0: 10.1.0.2
DIR/b/10.1.0.2: of-b eth0
`,
  )
  t.equal(readFileSync(join(directory, 'b', '10.1.0.2'), 'utf8'), 'of-b\r\neth0')
  t.equal((await podwire('export', directory)).stdout, `${directory}: no network is ours\n`)
})

test('export writes one network when it is named', async (t) => {
  const { directory, podwire } = makeDirectory(t, 'a', 'b')
  t.match(await podwire('export', '--network', 'b', directory), {
    exitStatus: 0,
    stdout: /^\S+\/b: upstream's again/,
  })
  t.same(readdirSync(join(directory, 'b')), ['10.1.0.2', 'last_reserved_ip.0'])
  t.match(readFileSync(join(directory, 'a'), 'utf8'), /^The leases of this network are kept by Podwire/)
  t.match(await podwire('export', '--network', 'c', directory), {
    exitStatus: 1,
    stderr: 'podwire export: network "c": ENONETWORK: it is not ours\n',
  })
})

test('export refuses to write over what upstream gave to others', async (t) => {
  const { directory, podwire } = makeDirectory(t, 'a')
  rmSync(join(directory, 'a'))
  mkdirSync(join(directory, 'a'))
  writeFileSync(join(directory, 'a', '10.1.0.2'), 'another\r\neth0')
  t.match(await podwire('export', directory), {
    exitStatus: 1,
    stdout: '',
    stderr:
      /^podwire export: network "a": ECONFLICT: upstream's file 10\.1\.0\.2 names "another\\r\\neth0", but /,
  })
  t.equal(readFileSync(join(directory, 'a', '10.1.0.2'), 'utf8'), 'another\r\neth0')
})

test('export makes no database in a directory that has none', async (t) => {
  const { podwire } = makeDirectory(t)
  const directory = t.testdir({})
  t.match(await podwire('export', directory), {
    exitStatus: 1,
    stderr: /has no leases of Podwire/,
  })
  t.same(readdirSync(directory), [])
})
