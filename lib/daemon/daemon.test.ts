// The daemon as a whole, on a node in memory and a real socket.

import { once } from 'node:events'
import { mkdtempSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { Plugin } from '../cni/plugin.ts'
import { SPEC_VERSIONS } from '../cni/versions.ts'
import type { Ports } from '../host/ports.ts'
import { StoreError } from '../state/store-error.ts'
import { makeScene } from '../testing/scene.ts'
import { Daemon, type DaemonOptions } from './daemon.ts'
import { decodeOutcome, encodeCall, HEADER_BYTES, KIND, NOTHING, PLACES, readHeader } from './protocol.ts'

const plugin: Plugin<Ports> = {
  name: 'cni-test',
  supportedVersions: SPEC_VERSIONS,
  add: async () => ({}),
  check: async () => undefined,
  async del({ attachments }: Ports, { name: network, containerId, ifname }) {
    attachments.delete({ plugin: 'cni-test', network, containerId, ifname })
  },
}

function optionsOf(t: Test): DaemonOptions {
  const directory = mkdtempSync(join(tmpdir(), 'pwt-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  return {
    socketPath: join(directory, 'run/podwire.sock'),
    stateDir: join(directory, 'state'),
    version: '1.2.3',
    ports: makeScene().ports,
    plugins: [plugin],
    findPlugin: (name) => (name === plugin.name ? plugin : undefined),
    path: ['/opt/cni/bin'],
    listDataDirs: () => [],
  }
}

/** Device and inode in hex, as the shim tells them. */
function identify(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true, throwIfNoEntry: false }) ?? {}
  return dev === undefined || ino === undefined ? NOTHING : `${dev.toString(16)}:${ino.toString(16)}`
}

/** A DEL. @returns the last frame's kind, and what it says */
async function del({ socketPath, stateDir }: DaemonOptions, netns: string, place: string) {
  const socket = connect(socketPath)
  const environment = {
    CNI_COMMAND: 'DEL',
    CNI_CONTAINERID: 'pod-1',
    CNI_IFNAME: 'eth0',
    CNI_NETNS: netns,
    CNI_PATH: '/opt/cni/bin',
    PODWIRE_STATE_DIR: stateDir,
  }
  const places = [...PLACES.map(identify), place]
  const stdin = '{"cniVersion":"1.1.0","name":"net","type":"test"}'
  socket.write(
    encodeCall({ plugin: 'cni-test', netns: readlinkSync('/proc/self/ns/net'), places, environment, stdin }),
  )
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  const frame = Buffer.concat(chunks)
  const body = frame.subarray(HEADER_BYTES)
  const { kind } = readHeader(frame)
  return kind === KIND.outcome ? decodeOutcome(body) : JSON.parse(body.toString())
}

async function get({ socketPath }: DaemonOptions, path: string): Promise<string> {
  const [response] = await once(httpRequest({ socketPath, path }).end(), 'response')
  let text = `${response.statusCode} `
  for await (const chunk of response) text += String(chunk)
  return text
}

test('a daemon takes back what is half made, serves, counts and stops', async (t) => {
  const options = optionsOf(t)
  const { attachments } = options.ports
  const half = {
    plugin: 'cni-test',
    network: 'net',
    containerId: 'pod-9',
    ifname: 'eth0',
    netns: '/run/netns/pod-9',
    record: {},
    bootId: options.ports.bootId,
    createdAtMs: 0,
    isComplete: false,
  }
  attachments.put(half)
  const { daemon, recovery } = await Daemon.start(options)
  t.strictSame(recovery, { removed: [half], failed: [] })
  t.strictSame(attachments.list(), [])
  t.strictSame(await del(options, '', NOTHING), { exitStatus: 0, stdout: '', stderr: '' })
  t.equal(await get(options, '/readyz'), '200 ok\n')
  t.match(
    await get(options, '/metrics'),
    /\npodwire_calls_total\{plugin="cni-test",verb="DEL",code="0"\} 1\n/,
  )
  t.match(daemon.status(), {
    version: '1.2.3',
    socket: options.socketPath,
    ready: true,
    startedAt: '1970-01-01T00:16:40.000Z',
    attachments: 0,
    running: 0,
    waiting: 0,
    calls: [{ plugin: 'cni-test', verb: 'DEL', succeeded: 1, failed: 0 }],
    leftToCaller: {},
    lastErrors: [],
  })
  await t.rejects(Daemon.start(options), { code: 'ERUNNING' })
  await daemon.stop()
  t.equal(daemon.isReady, false)
  const again = await Daemon.start(options)
  await again.daemon.stop()
})

test('a daemon serves who means the same by a path, and no other; no path is its end', async (t) => {
  const options = optionsOf(t)
  const { daemon } = await Daemon.start(options)
  t.teardown(() => daemon.stop())
  const own = '/proc/self/ns/net'
  t.match(await del(options, own, identify(own)), { exitStatus: 0 })
  t.match(await del(options, own, identify('/')), {
    code: 11,
    msg: `the daemon does not serve this call: ${own} is something else to the caller`,
  })
  t.match(await del(options, '/nowhere', NOTHING), { exitStatus: 0 })
  // ENOTDIR, and ENAMETOOLONG.
  t.match(await del(options, '/proc/version/x', NOTHING), { exitStatus: 0 })
  t.match(await del(options, `/${'x'.repeat(5000)}`, NOTHING), { exitStatus: 0 })
})

test('a daemon tells its figures on a port, if asked to, and does not start without it', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const options = { ...optionsOf(t), metricsAddress: { host: '127.0.0.1', port } }
  await t.rejects(Daemon.start(options), { code: 'EADDRESS', message: /EADDRINUSE/ })
  other.close()
  await once(other, 'close')
  const elsewhere = { ...optionsOf(t), metricsAddress: options.metricsAddress }
  const { daemon } = await Daemon.start(elsewhere)
  await del(elsewhere, '', NOTHING)
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  t.match(page, /^podwire_ready 1$/m)
  t.match(page, /^podwire_attachments 0$/m)
  t.match(page, /^podwire_step_duration_seconds_count\{verb="DEL",step="record"\} 1$/m)
  t.match(page, /^podwire_loop_stretch_seconds_count\{verb="DEL"\} \d+$/m)
  await daemon.stop()
  await t.rejects(fetch(`http://127.0.0.1:${port}/healthz`))
})

test('figures that no store can be read for are left out, and the others told', async (t) => {
  const options = optionsOf(t)
  const { attachments } = options.ports
  const why = { operation: 'read', path: '/x', why: 'broken', remedy: '' }
  let isBroken = false
  const ports = Object.create(options.ports, {
    attachments: {
      get: () => {
        if (isBroken) throw new StoreError('EIO', why)
        return attachments
      },
    },
  })
  const { daemon } = await Daemon.start({ ...options, ports })
  t.teardown(() => daemon.stop())
  isBroken = true
  const page = await get(options, '/metrics')
  t.match(page, /^200 /)
  t.notMatch(page, /^podwire_attachments /m)
  t.match(page, /^podwire_scrape_errors_total 1$/m)
})

test('a stop waits for what was put off', async (t) => {
  const options = optionsOf(t)
  const { promise, resolve } = Promise.withResolvers<void>()
  const events: string[] = []
  const { host } = options.ports.kernel
  const ports: Ports = {
    ...options.ports,
    kernel: { host, openNamespace: () => host, close: () => undefined, finish: () => promise },
    close: () => void events.push('closed'),
  }
  const { daemon } = await Daemon.start({ ...options, ports })
  const stopped = daemon.stop()
  // Its socket is gone.
  const [error] = await once(connect(options.socketPath), 'error').catch((thrown) => [thrown])
  t.match(error, { code: /ENOENT|ECONNREFUSED/ })
  await new Promise((done) => setImmediate(done))
  events.push('done')
  resolve()
  await stopped
  t.strictSame(events, ['done', 'closed'])
})
