import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { Plugin } from '../cni/plugin.ts'
import type { Request } from '../cni/request.ts'
import { SPEC_VERSIONS } from '../cni/versions.ts'
import { CallLocks } from '../host/call-lock.ts'
import type { Ports } from '../host/ports.ts'
import { loadNative } from '../native/native.ts'
import type { Attachment } from '../state/attachments.ts'
import { makeScene } from '../testing/scene.ts'
import { recover } from './recover.ts'

const PATH = ['/opt/cni/bin', '/usr/lib/cni']

function attachment(containerId: string, changes: Partial<Attachment> = {}): Attachment {
  return {
    plugin: 'cni-test',
    network: 'net',
    containerId,
    ifname: 'eth0',
    netns: `/run/netns/${containerId}`,
    record: {},
    bootId: 'boot-1',
    createdAtMs: 0,
    isComplete: false,
    ...changes,
  }
}

function start(t: Test, del: (request: Request) => void = () => undefined) {
  const { ports } = makeScene()
  const path = join(t.testdir(), 'calls.lock')
  const native = loadNative()
  const [locks, others] = [CallLocks.open(path, native), CallLocks.open(path, native)]
  t.teardown(() => {
    locks.close()
    others.close()
  })
  const requests: Request[] = []
  const plugin = {
    name: 'cni-test',
    supportedVersions: SPEC_VERSIONS,
    async del({ attachments }: Ports, request: Request) {
      requests.push(request)
      del(request)
      const { name: network, containerId, ifname } = request
      attachments.delete({ plugin: 'cni-test', network, containerId, ifname })
    },
  } as unknown as Plugin<Ports>
  const run = () => recover(ports, { plugins: [plugin], locks, path: PATH })
  const left = () => ports.attachments.list().map(({ containerId }) => containerId)
  return { ports, others, requests, run, left }
}

const ids = (attachments: readonly Attachment[]) => attachments.map(({ containerId }) => containerId)

test('what is half made is taken back, what is complete stays', async (t) => {
  const { ports, requests, run, left } = start(t)
  ports.attachments.put(attachment('a', { isComplete: true }))
  ports.attachments.put(attachment('b'))
  ports.attachments.put(attachment('c', { plugin: 'cni-other', isComplete: true }))
  const { removed, failed } = await run()
  t.strictSame([ids(removed), failed], [['b'], []])
  t.strictSame(left(), ['c', 'a'])
  t.match(requests, [
    {
      command: 'DEL',
      containerId: 'b',
      ifname: 'eth0',
      netns: '/run/netns/b',
      name: 'net',
      cniVersion: '1.0.0',
      path: PATH,
      prevResult: undefined,
      environment: { CNI_COMMAND: 'DEL', CNI_PATH: PATH.join(':') },
    },
  ])
  t.equal(requests.length, 1)
})

test('what another process works on is left to it', async (t) => {
  const { ports, others, requests, run, left } = start(t)
  ports.attachments.put(attachment('a'))
  ports.attachments.put(attachment('b'))
  others.acquire(attachment('a'))
  t.strictSame(await run(), { removed: [attachment('b')], failed: [] })
  t.strictSame(left(), ['a'])
  others.release(attachment('a'))
  t.strictSame(ids((await run()).removed), ['a'])
  t.equal(requests.length, 2)
})

test('what another process has finished or taken back meanwhile stays as that left it', async (t) => {
  const { ports, requests, run, left } = start(t, ({ containerId }) => {
    if (containerId !== 'a') return
    ports.attachments.complete(attachment('b'))
    ports.attachments.delete(attachment('c'))
  })
  for (const containerId of ['a', 'b', 'c']) ports.attachments.put(attachment(containerId))
  t.strictSame(ids((await run()).removed), ['a'])
  t.strictSame(left(), ['b'])
  t.equal(requests.length, 1)
})

test('one that cannot be taken back is told and stays recorded, and the others go', async (t) => {
  const { ports, others, run, left } = start(t, ({ containerId }) => {
    if (containerId === 'a') throw new Error('no')
  })
  ports.attachments.put(attachment('a'))
  ports.attachments.put(attachment('b'))
  ports.attachments.put(attachment('c', { plugin: 'cni-newer' }))
  const { removed, failed } = await run()
  t.strictSame(ids(removed), ['b'])
  t.strictSame(
    failed.map(({ attachment: { containerId }, why }) => `${containerId}: ${why}`),
    ['c: there is no plugin cni-newer in this version', 'a: no'],
  )
  t.strictSame(left(), ['c', 'a'])
  for (const id of ['a', 'b']) t.equal(others.acquire(attachment(id)), true, `${id} is not locked any more`)
})

test('a lock that cannot be had is told', async (t) => {
  const { ports } = makeScene()
  ports.attachments.put(attachment('a'))
  const locks = CallLocks.open(join(t.testdir(), 'calls.lock'), loadNative())
  locks.close()
  const plugins = [{ name: 'cni-test' } as Plugin<Ports>]
  const { failed } = await recover(ports, { plugins, locks, path: PATH })
  t.match(failed, [{ attachment: { containerId: 'a' }, why: /Bad file/ }])
})

test('a delegate that hangs costs its attachment a while, and those after it their turn', async (t) => {
  const { ports } = makeScene()
  for (const id of ['a', 'b']) ports.attachments.put(attachment(id))
  const locks = CallLocks.open(
    join(t.testdir({ hangs: '#!/bin/sh\nexec sleep 1000\n' }), 'calls.lock'),
    loadNative(),
  )
  const file = join(t.testdirName, 'hangs')
  chmodSync(file, 0o755)
  const del = async ({ delegates }: Ports) => {
    await delegates.exec.run({ file, stdin: '', environment: {} })
  }
  const plugins = [{ name: 'cni-test', del } as unknown as Plugin<Ports>]
  const { failed } = await recover(ports, { plugins, locks, path: PATH, timeoutMs: 50 })
  t.match(failed, [
    { attachment: { containerId: 'a' }, why: /killed, since nobody waits/ },
    { attachment: { containerId: 'b' }, why: 'there was no time left for it' },
  ])
  t.equal(ports.attachments.list().length, 2, 'DEL and GC will try again')
})

test('nothing is nothing', async (t) => {
  t.strictSame(await start(t).run(), { removed: [], failed: [] })
})
