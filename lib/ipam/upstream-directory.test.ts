import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { loadNative } from '../native/native.ts'
import { UpstreamDirectory } from './upstream-directory.ts'
import { upstreamLeasesContract } from './upstream-leases.contract.ts'

const LOCK_EX = 2

function write(dataDir: string, network: string, name: string, content: string): void {
  mkdirSync(join(dataDir, network), { recursive: true })
  writeFileSync(join(dataDir, network, name), content)
}

function makeDirectory(t: Test) {
  const dataDir = t.testdir({})
  return { dataDir, upstream: new UpstreamDirectory(join(dataDir, 'leases.db')) }
}

upstreamLeasesContract('UpstreamDirectory', (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  return {
    upstream,
    write: (network, name, content) => write(dataDir, network, name, content),
    note: (network) => readFileSync(join(dataDir, network), 'utf8'),
  }
})

test('UpstreamDirectory tells a person what happened and how to go back', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  write(dataDir, 'net', '10.1.0.2', 'c1')
  upstream.claim('net')
  upstream.settle('net', '\na note\n')
  t.equal(
    readFileSync(join(dataDir, 'net'), 'utf8'),
    `The leases of this network are kept by Podwire, in the database beside this file. It keeps upstream's host-local
from handing out the same addresses: its calls fail with "not a directory".
To give the network back to it: podwire export --network net ${dataDir}
Where Podwire is gone: remove this file once none of its pods runs.

a note
`,
  )
  t.same(readdirSync(join(dataDir, '.taken-over', 'net', '0')), ['10.1.0.2', 'lock'])
})

test('UpstreamDirectory writes files as upstream does', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  upstream.claim('net')
  upstream.settle('net', '')
  upstream.handBack('net', new Map([['10.1.0.9', 'c9\r\neth0']]))
  t.equal(readFileSync(join(dataDir, 'net', '10.1.0.9'), 'utf8'), 'c9\r\neth0')
  t.equal(statSync(join(dataDir, 'net', '10.1.0.9')).mode & 0o777, 0o600)
  t.equal(statSync(join(dataDir, 'net')).mode & 0o777, 0o755)
})

test('UpstreamDirectory takes all when upstream came back after a call was killed', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  write(dataDir, 'net', '10.1.0.2', 'c1')
  mkdirSync(join(dataDir, '.taking-over', 'net', '0'), { recursive: true })
  writeFileSync(join(dataDir, '.taking-over', 'net', '0', '10.1.0.3'), 'c2')
  t.equal(upstream.owner('net'), 'upstream')
  const names = () => upstream.claim('net').map(({ name }) => name)
  t.same(names(), ['10.1.0.2', '10.1.0.3'])
  t.same(names(), ['10.1.0.2', '10.1.0.3'])
})

test('UpstreamDirectory releases nothing when upstream came back to a network that is on its way to us', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  write(dataDir, 'net', '10.1.0.2', 'c1')
  mkdirSync(join(dataDir, '.taking-over', 'net', '0'), { recursive: true })
  writeFileSync(join(dataDir, '.taking-over', 'net', '0', '10.1.0.2'), 'c1')
  t.equal(
    upstream.release('net', () => ['10.1.0.2']),
    undefined,
  )
  t.same(readdirSync(join(dataDir, 'net')), ['10.1.0.2'])
})

test('UpstreamDirectory finishes what a call began that was killed before it put up the sign', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  mkdirSync(join(dataDir, '.taking-over', 'net', '0'), { recursive: true })
  writeFileSync(join(dataDir, '.taking-over', 'net', '0', '10.1.0.3'), 'c2')
  t.equal(upstream.owner('net'), 'upstream')
  t.same(
    upstream.claim('net').map(({ name }) => name),
    ['10.1.0.3'],
  )
  t.throws(() => write(dataDir, 'net', '10.1.0.2', 'c1'), { code: 'EEXIST' })
})

test('UpstreamDirectory never touches our own files, whatever a network is called', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  writeFileSync(join(dataDir, 'leases.db'), 'database')
  for (const network of ['leases.db', 'leases.db-journal', 'leases.db-wal', 'a'.repeat(256)]) {
    t.equal(upstream.owner(network), 'podwire', network)
    t.same(upstream.claim(network), [], network)
    upstream.settle(network, 'note')
  }
  t.same(readdirSync(dataDir), ['leases.db'])
  t.equal(readFileSync(join(dataDir, 'leases.db'), 'utf8'), 'database')
  t.same(upstream.listClaimed(), [])
})

test('UpstreamDirectory does not give back where a file is that it did not make', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  writeFileSync(join(dataDir, 'net'), 'of somebody')
  t.throws(() => upstream.handBack('net', new Map()), { code: 'EIO', operation: 'hand back' })
  t.equal(readFileSync(join(dataDir, 'net'), 'utf8'), 'of somebody')
  t.same(upstream.listClaimed(), [])
})

/** As a call of upstream under way: holds the lock, writes a lease, lets go. */
const HOLDER = `
  import { openSync, writeFileSync, writeSync } from 'node:fs'
  import { loadNative } from ${JSON.stringify(new URL('../native/native.ts', import.meta.url).href)}
  const [, directory] = process.argv
  loadNative().flock(openSync(directory + '/lock', 'a+'), ${LOCK_EX}, 5000)
  writeSync(1, 'locked')
  process.stdin.once('data', () => {
    setTimeout(() => {
      writeFileSync(directory + '/10.1.0.7', 'late')
      process.exit()
    }, 100)
  })
`

/** As calls of upstream's begin, until one could make the directory. */
const MAKES_DIRECTORY = `
const { mkdirSync } = require('node:fs')
process.stdout.write('begins ')
for (;;) {
  try {
    mkdirSync(process.argv[1])
    process.stdout.write('made')
    break
  } catch {}
}`

test('UpstreamDirectory never leaves the place to upstream while a network changes hands', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  const files = new Map([['10.1.0.2', 'c1\r\neth0']])
  write(dataDir, 'net', '10.1.0.2', 'c1\r\neth0')
  const child = spawn(process.execPath, ['-e', MAKES_DIRECTORY, join(dataDir, 'net')], {
    env: {},
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk
  })
  await once(child.stdout, 'data')
  for (let i = 0; i < 100; i++) {
    t.same(
      upstream.claim('net').map(({ name }) => name),
      ['10.1.0.2'],
    )
    upstream.settle('net', '')
    upstream.handBack('net', files)
  }
  child.kill('SIGKILL')
  if (child.exitCode === null) await once(child, 'close')
  t.equal(said, 'begins ')
})

test('UpstreamDirectory repairs a sign that a full disk left empty, and gives back in its place', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  writeFileSync(join(dataDir, 'net'), '')
  upstream.claim('net')
  t.match(readFileSync(join(dataDir, 'net'), 'utf8'), /^The leases of this network/)
  writeFileSync(join(dataDir, 'net'), '')
  t.strictSame(upstream.listClaimed(), [], 'whose an empty file is, its network must tell')
  upstream.handBack('net', new Map([['10.1.0.9', 'c9']]))
  t.same(readdirSync(join(dataDir, 'net')), ['10.1.0.9'])
  t.same(readdirSync(join(dataDir, '.handing-back')), [])
})

test('UpstreamDirectory passes over the sign of a call that was killed before it was put up', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  write(dataDir, 'net', '10.1.0.2', 'c1')
  mkdirSync(join(dataDir, '.taking-over', 'net'), { recursive: true })
  writeFileSync(join(dataDir, '.taking-over', 'net', '0'), 'a sign')
  t.equal(upstream.owner('net'), 'upstream')
  t.same(
    upstream.claim('net').map(({ name }) => name),
    ['10.1.0.2'],
  )
  t.ok(statSync(join(dataDir, 'net')).isFile())
})

test('UpstreamDirectory waits for a call of upstream that is under way', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  write(dataDir, 'net', '10.1.0.2', 'c1')
  const args = ['--input-type=module-typescript', '--eval', HOLDER, join(dataDir, 'net')]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  await once(child.stdout, 'data')
  child.stdin.write('go')
  const names = upstream.claim('net').map(({ name }) => name)
  t.same(names, ['10.1.0.2', '10.1.0.7'], 'what it wrote is taken over')
  await exit
})

test('UpstreamDirectory leaves no directory for a call of upstream that waits for the lock', async (t) => {
  const { dataDir, upstream } = makeDirectory(t)
  write(dataDir, 'net', '10.1.0.2', 'c1')
  const waiting = openSync(join(dataDir, 'net', 'lock'), 'a+')
  upstream.claim('net')
  t.ok(loadNative().flock(waiting, LOCK_EX, 1000), 'it gets the lock')
  t.throws(() => writeFileSync(join(dataDir, 'net', '10.1.0.3'), 'c2', { flag: 'wx' }), { code: 'ENOTDIR' })
  closeSync(waiting)
})
