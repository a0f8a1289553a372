import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { makeNode } from './node.fixture.ts'
import { findPlugin } from './registry.ts'

/** An executable, and directories for plugins and configurations. */
function makeHost(t: Test, configs: Readonly<Record<string, string>> = {}) {
  const root = t.testdir({ podwire: 'x', bin: {}, net: configs })
  const { podwire } = makeNode({ about: { executable: join(root, 'podwire') } })
  const net = join(root, 'net')
  const install = (place: string, ...subnets: readonly string[]) =>
    podwire('install', join(root, 'bin'), '--conflist', place, ...subnets.flatMap((one) => ['--subnet', one]))
  const read = (name = '10-podwire.conflist') => JSON.parse(readFileSync(join(net, name), 'utf8'))
  return { net, install, read }
}

test('install --conflist writes a configuration whose plugins are there', async (t) => {
  const { net, install, read } = makeHost(t)
  const { stdout, exitStatus } = await install(net, '10.9.1.0/24', 'fd00:9::/64')
  t.equal(exitStatus, 0)
  t.match(stdout, `${net}/10-podwire.conflist: written, pods get addresses of 10.9.1.0/24, fd00:9::/64\n`)
  const { plugins, name, cniVersion } = read()
  t.match({ name, cniVersion }, { name: 'podwire', cniVersion: '1.0.0' })
  for (const { type } of plugins) t.ok(findPlugin(type), type)
  t.strictSame(plugins[0].ipam, {
    type: 'ipam-host-local',
    ranges: [[{ subnet: '10.9.1.0/24' }], [{ subnet: 'fd00:9::/64' }]],
  })
  t.strictSame(readdirSync(net), ['10-podwire.conflist'], 'and leaves no other file')
})

test('install --conflist refuses a place where no runtime reads, before it installs anything', async (t) => {
  const { net, install } = makeHost(t)
  const bin = join(net, '../bin')
  for (const [place, missing] of [
    [join(net, 'not-there'), join(net, 'not-there')],
    [join(net, 'not-there/10.conflist'), join(net, 'not-there')],
  ] as const) {
    const { stderr, exitStatus } = await install(place)
    t.match(stderr, `"${missing}" is no directory`)
    t.match(stderr, `mkdir -p ${missing}`)
    t.equal(exitStatus, 1)
  }
  t.strictSame([readdirSync(net), readdirSync(bin)], [[], []])
})

test('install refuses an option that would do nothing', async (t) => {
  const { net } = makeHost(t)
  const { podwire } = makeNode({})
  for (const [words, needed] of [
    [['--subnet', '10.9.0.0/24'], '--subnet needs --conflist'],
    [['--node', 'n1'], '--node needs --conflist'],
    [['--systemd'], '--systemd needs --shim'],
    [['--unit-dir', net], '--unit-dir needs --systemd'],
  ] as const)
    t.match(await podwire('install', net, ...words), { exitStatus: 2, stderr: needed })
})

test('install --conflist keeps the ranges of its own file, unless it is given others', async (t) => {
  const { net, install, read } = makeHost(t)
  const ranges = () => read('mine.conflist').plugins[0].ipam.ranges
  const place = join(net, 'mine.conflist')
  t.match((await install(place)).stdout, /10\.244\.0\.0\/24; give each node its own with --subnet\n$/)
  await install(place, '10.9.1.0/24')
  t.strictSame(ranges(), [[{ subnet: '10.9.1.0/24' }]])
  await install(place)
  t.strictSame(ranges(), [[{ subnet: '10.9.1.0/24' }]])
})

test('install --conflist keeps what is not its own', async (t) => {
  const theirs = '{ "name": "theirs", "plugins": [{ "type": "flannel" }] }'
  const { net, install } = makeHost(t, {
    '10-podwire.conflist': theirs,
    '11.conf': 'no JSON',
    '05-a.conf': '{}',
  })
  for (const name of ['10-podwire.conflist', '11.conf']) {
    const before = readFileSync(join(net, name), 'utf8')
    const { stdout, exitStatus } = await install(join(net, name), '10.9.1.0/24')
    t.match({ stdout, exitStatus }, { exitStatus: 0, stdout: `${join(net, name)}: kept, it is not ours\n` })
    t.match(stdout, '05-a.conf: comes before it, and is what runtimes use')
    t.equal(readFileSync(join(net, name), 'utf8'), before)
  }
})

test('install --conflist keeps a file from which its mark was taken', async (t) => {
  const { net, install, read } = makeHost(t)
  await install(net)
  const { podwire: _, ...own } = read()
  writeFileSync(join(net, '10-podwire.conflist'), JSON.stringify(own))
  t.match((await install(net, '10.9.1.0/24')).stdout, /kept, it is not ours/)
})

for (const [subnets, why] of [
  [['10.9.1.0'], /invalid CIDR/],
  [['10.9.1.5/24'], /host bits/],
  [['10.9.1.0/24', '10.8.1.0/24'], /one of each family is enough/],
] as const) {
  test(`install --conflist writes nothing for --subnet ${subnets.join(' --subnet ')}`, async (t) => {
    const { net, install } = makeHost(t)
    const { exitStatus, stderr } = await install(net, ...subnets)
    t.equal(exitStatus, 2)
    t.match(stderr, why)
    t.strictSame(readdirSync(net), [])
  })
}
