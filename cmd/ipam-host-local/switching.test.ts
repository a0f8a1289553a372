// Between upstream's host-local and ours, there and back, with upstream's own binary at work.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { SqliteLeaseStore } from '../../lib/ipam/lease-store-sqlite.ts'
import { handBack } from '../../lib/ipam/takeover.ts'
import { BOOT_ID, BOOTED_AT_MS, World } from './world.fixture.ts'

const UPSTREAM = '/usr/lib/cni/host-local'
const options = existsSync(UPSTREAM) ? {} : { skip: `no upstream plugin: ${UPSTREAM}` }

const SMALL = { ranges: [[{ subnet: '10.1.0.0/29' }]] }
const BOTH = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }]] }

/** One data directory, two plugins. */
class Switch {
  readonly dataDir: string
  readonly ours: World
  readonly #ipam: object

  constructor(t: Test, ipam: object) {
    this.dataDir = t.testdir({})
    this.#ipam = { ...ipam, dataDir: this.dataDir }
    const store = SqliteLeaseStore.open(join(this.dataDir, 'podwire-leases.db'), { bootId: BOOT_ID })
    t.teardown(() => store.close())
    this.ours = new World(this.#ipam, store)
    this.ours.nowMs = Date.now() // as upstream's files
  }

  /** What upstream prints, '' for nothing. */
  upstream(command: string, containerId: string, ifname = 'eth0'): string {
    const config = {
      cniVersion: '1.0.0',
      name: 'net',
      type: 'bridge',
      ipam: { type: 'host-local', ...this.#ipam },
    }
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: '/run/netns/pod',
      CNI_IFNAME: ifname,
      CNI_PATH: '/usr/lib/cni',
    }
    const { stdout } = spawnSync(UPSTREAM, {
      env,
      input: JSON.stringify({ ...config, prevResult: {} }),
      encoding: 'utf8',
    })
    if (stdout === '') return ''
    const { ips, msg } = JSON.parse(stdout) as { ips?: { address: string }[]; msg?: string }
    return ips ? ips.map(({ address }) => address).join(' ') : (msg ?? '')
  }

  /** Upstream's files are as old as the machine says; our node began before. */
  export(): string[] {
    return [...handBack(this.ours.store, { network: 'net', bootedAtMs: () => BOOTED_AT_MS }).keys()].sort()
  }

  files(): string[] {
    return readdirSync(join(this.dataDir, 'net')).sort()
  }

  leases(): string[] {
    return this.files().filter((name) => /^(?:10|fd)/.test(name))
  }
}

test('ours goes on where upstream was', options, async (t) => {
  const world = new Switch(t, BOTH)
  t.equal(world.upstream('ADD', 'c1'), '10.1.0.2/24 fd00::2/64')
  t.equal(world.upstream('ADD', 'c2'), '10.1.0.3/24 fd00::3/64')
  t.equal(await world.ours.add('c3'), '10.1.0.4/24 fd00::4/64')
  t.equal(await world.ours.call('CHECK', 'c1'), undefined)
  t.match(
    await world.ours.add('c1'),
    /10\.1\.0\.2 has been allocated to c1, duplicate allocation is not allowed/,
  )
  t.equal(await world.ours.call('DEL', 'c1'), undefined)
  t.match(await world.ours.call('CHECK', 'c1'), { code: 999 })
  t.same(world.ours.held(), ['10.1.0.3 c2/eth0', '10.1.0.4 c3/eth0', 'fd00::3 c2/eth0', 'fd00::4 c3/eth0'])
  t.match(world.ours.logged, [/^info took over the leases of upstream's host-local .*"taken":4/])
})

test('ours counts the leases of upstream when a pool is full', options, async (t) => {
  const world = new Switch(t, SMALL)
  for (const id of ['c1', 'c2', 'c3']) world.upstream('ADD', id)
  t.equal(await world.ours.call('STATUS', '', { ipam: { statusMinFree: 2 } }), undefined)
  t.match(await world.ours.call('STATUS', '', { ipam: { statusMinFree: 3 } }), { code: 50, msg: /only 2/ })
  t.equal(world.upstream('ADD', 'c4'), '10.1.0.5/29', 'asking took nothing over')
  t.equal(await world.ours.add('c5'), '10.1.0.6/29')
  t.match(await world.ours.call('ADD', 'c6'), {
    msg: 'failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.6',
    details:
      /^5 of 5 addresses of network "net" are in use; the oldest: 10\.1\.0\.2 held by container c1, eth0/,
  })
  await world.ours.call('DEL', 'c2')
  t.equal(await world.ours.add('c6'), '10.1.0.3/29')
})

test(
  'DEL and GC release what upstream keeps where it is, and the network stays upstream’s',
  options,
  async (t) => {
    for (const [command, id, outer] of [
      ['DEL', 'c1', {}],
      ['GC', '', { 'cni.dev/valid-attachments': [{ containerID: 'c2', ifname: 'eth0' }] }],
    ] as const) {
      const world = new Switch(t, SMALL)
      world.upstream('ADD', 'c1')
      world.upstream('ADD', 'c2')
      t.equal(await world.ours.call(command, id, { outer }), undefined)
      t.same(world.ours.held(), [], command)
      t.same(world.leases(), ['10.1.0.3'], command)
      t.equal(world.upstream('ADD', 'c3'), '10.1.0.4/29', 'upstream goes on')
      t.equal(await world.ours.add('c4'), '10.1.0.5/29', 'until an ADD of ours takes it over')
      t.same(world.ours.held(), ['10.1.0.3 c2/eth0', '10.1.0.4 c3/eth0', '10.1.0.5 c4/eth0'])
    }
  },
)

test('DEL and GC after an export do not take the network back', options, async (t) => {
  const world = new Switch(t, SMALL)
  for (const id of ['c1', 'c2', 'c3']) await world.ours.add(id)
  world.export()
  const valid = [{ containerID: 'c2', ifname: 'eth0' }]
  t.equal(await world.ours.call('DEL', 'c1'), undefined)
  t.same(world.leases(), ['10.1.0.3', '10.1.0.4'])
  t.equal(await world.ours.call('GC', '', { outer: { 'cni.dev/valid-attachments': valid } }), undefined)
  t.same(world.leases(), ['10.1.0.3'])
  t.same(world.ours.held(), [])
  t.equal(world.upstream('ADD', 'c4'), '10.1.0.5/29')
})

test('upstream refuses a network that is ours', options, async (t) => {
  const imported = new Switch(t, SMALL)
  imported.upstream('ADD', 'c1')
  await imported.ours.add('c2')
  const fresh = new Switch(t, SMALL)
  await fresh.ours.add('c2')
  for (const world of [imported, fresh]) {
    for (const command of ['ADD', 'DEL']) {
      t.equal(world.upstream(command, 'c1'), `mkdir ${join(world.dataDir, 'net')}: not a directory`, command)
    }
  }
})

test('ADD leaves no lease behind when what upstream left cannot be put away', async (t) => {
  const world = new Switch(t, SMALL)
  const inTheWay = join(world.dataDir, '.taken-over')
  mkdirSync(join(world.dataDir, 'net'))
  writeFileSync(join(world.dataDir, 'net', '10.1.0.2'), 'c1\r\neth0')
  writeFileSync(inTheWay, '')
  for (const attempt of ['first', 'second']) {
    t.match(await world.ours.call('ADD', 'c2'), { code: 999, msg: /settle ".*\/net": EIO: / }, attempt)
    t.same(world.ours.held(), ['10.1.0.2 c1/eth0'], attempt)
  }
  rmSync(inTheWay)
  t.equal(await world.ours.add('c2'), '10.1.0.5/29')
  t.same(world.ours.held(), ['10.1.0.2 c1/eth0', '10.1.0.5 c2/eth0'])
})

test('ours takes over id-only files as upstream treats them', options, async (t) => {
  const world = new Switch(t, SMALL)
  mkdirSync(join(world.dataDir, 'net'))
  writeFileSync(join(world.dataDir, 'net', '10.1.0.2'), 'c1')
  world.upstream('ADD', 'c2', 'net1')
  writeFileSync(join(world.dataDir, 'net', '10.1.0.4'), 'c2')
  await world.ours.add('c3')
  await world.ours.call('DEL', 'c2', { ifname: 'net1' })
  await world.ours.call('DEL', 'c3')
  t.same(world.ours.held(), ['10.1.0.2 c1/', '10.1.0.4 c2/'], 'its own first')
  await world.ours.call('DEL', 'c1')
  await world.ours.call('DEL', 'c2')
  t.same(world.ours.held(), [])
})

test('ours releases id-only files where they are as upstream does', options, async (t) => {
  const world = new Switch(t, SMALL)
  world.upstream('ADD', 'c2', 'net1')
  writeFileSync(join(world.dataDir, 'net', '10.1.0.4'), 'c2')
  await world.ours.call('DEL', 'c2', { ifname: 'net1' })
  t.same(world.leases(), ['10.1.0.4'], 'its own first')
  await world.ours.call('DEL', 'c2')
  t.same(world.leases(), [])
})

test('ours leaves out what a crash or an earlier boot left, and says so', options, async (t) => {
  const world = new Switch(t, SMALL)
  for (const id of ['c1', 'c2', 'c3']) world.upstream('ADD', id)
  const file = (name: string) => join(world.dataDir, 'net', name)
  writeFileSync(file('10.1.0.2'), '')
  utimesSync(file('10.1.0.3'), 1_600_000_000, 1_600_000_000)
  t.equal(await world.ours.add('c4'), '10.1.0.2/29')
  t.equal(await world.ours.add('c5'), '10.1.0.3/29')
  t.equal(await world.ours.add('c6'), '10.1.0.5/29', 'c3 is alive')
  t.match(world.ours.logged, [
    /"taken":1/,
    /^error left out files .*\[\{"name":"10\.1\.0\.2","why":"empty"\},\{"name":"10\.1\.0\.3","why":"older than this boot"\}\]/,
  ])
  t.match(
    readFileSync(join(world.dataDir, 'net'), 'utf8'),
    /took over 1 leases, and left out\n {2}10\.1\.0\.2: empty\n/,
  )
})

test('upstream goes on where ours was', options, async (t) => {
  const world = new Switch(t, BOTH)
  world.upstream('ADD', 'c1')
  await world.ours.add('c2')
  await world.ours.add('c3')
  await world.ours.call('DEL', 'c3')
  const names = ['10.1.0.2', '10.1.0.3', 'fd00::2', 'fd00::3', 'last_reserved_ip.0', 'last_reserved_ip.1']
  t.same(world.export(), names)
  t.same(world.files(), names)
  t.equal(world.upstream('ADD', 'c4'), '10.1.0.5/24 fd00::5/64', 'after the one that was handed out last')
  t.match(
    world.upstream('ADD', 'c2'),
    /10\.1\.0\.3 has been allocated to c2, duplicate allocation is not allowed/,
  )
  for (const id of ['c1', 'c2']) {
    t.equal(world.upstream('CHECK', id), '', id)
    t.equal(world.upstream('DEL', id), '', id)
  }
  t.same(world.leases(), ['10.1.0.5', 'fd00::5'])
})

test('upstream is refused the addresses that ours handed out', options, async (t) => {
  const world = new Switch(t, SMALL)
  for (const id of ['c1', 'c2', 'c3', 'c4']) await world.ours.add(id)
  await world.ours.call('DEL', 'c2')
  world.export()
  t.equal(world.upstream('ADD', 'c5'), '10.1.0.6/29')
  t.equal(world.upstream('ADD', 'c6'), '10.1.0.3/29')
  t.match(world.upstream('ADD', 'c7'), /no IP addresses available in range set: 10\.1\.0\.1-10\.1\.0\.6/)
})

test('a network goes there and back and there', options, async (t) => {
  const world = new Switch(t, SMALL)
  await world.ours.add('c1')
  world.export()
  t.equal(world.upstream('ADD', 'c2'), '10.1.0.3/29')
  t.equal(await world.ours.add('c3'), '10.1.0.4/29')
  t.same(world.ours.held(), ['10.1.0.2 c1/eth0', '10.1.0.3 c2/eth0', '10.1.0.4 c3/eth0'])
  world.export()
  t.equal(world.upstream('DEL', 'c3'), '')
  t.same(world.leases(), ['10.1.0.2', '10.1.0.3'])
})

test('calls of upstream and of ours at once never share an address', options, async (t) => {
  const world = new Switch(t, BOTH)
  world.upstream('ADD', 'first')
  const script = `for i in 1 2 3 4 5 6 7 8; do CNI_CONTAINERID=u$i ${UPSTREAM} <"$0" & done; wait`
  const config = join(t.testdirName, 'config')
  const ipam = { type: 'host-local', ...BOTH, dataDir: world.dataDir }
  writeFileSync(config, JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'bridge', ipam }))
  const env = {
    PATH: '/usr/bin:/bin',
    CNI_COMMAND: 'ADD',
    CNI_NETNS: '/x',
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/usr/lib/cni',
  }
  const running = import('node:child_process').then(({ spawn }) =>
    spawn('sh', ['-c', script, config], { env }),
  )
  const output = running.then(async (child) => {
    const { text } = await import('node:stream/consumers')
    return text(child.stdout)
  })
  const ours: string[] = []
  for (let i = 0; i < 8; i++) ours.push(await world.ours.add(`o${i}`))
  const theirs = [...(await output).matchAll(/"address": "([^"]+)"/g)].map((match) => match[1])
  const taken = [...ours.join(' ').split(' '), ...theirs]
  t.equal(new Set(taken).size, taken.length, taken.join(' '))
  // An ADD of upstream's whose directory is taken over under it fails, and what it had by then is its DEL's to give back.
  const held = new Set(world.ours.held().map((line) => line.split(' ')[0]))
  const strangers = taken.map((prefix = '') => prefix.split('/')[0]).filter((address) => !held.has(address))
  t.same(strangers, [], 'every one of them is in our store')
  t.equal(execFileSync('find', [join(world.dataDir, 'net'), '-type', 'd'], { encoding: 'utf8' }), '')
})
