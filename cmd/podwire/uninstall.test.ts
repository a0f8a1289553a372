import { readdirSync, readlinkSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { makeNode } from './node.fixture.ts'

/** A directory in which ours lie among others. */
function makeDirectory(t: Test): string {
  const directory = t.testdir({
    podwire: 'x',
    'podwire-shim': 'x',
    loopback: 'of somebody else',
    'podwire.conf': 'x',
    'podwire.new': 'of somebody else',
    'podwire.new.12': 'x',
    'podwire-shim.new.7': 'x',
    '.podwire': { '1.node': 'x', '2.node': 'x' },
  })
  for (const [name, target] of [
    ['cni-bridge', 'podwire'],
    ['bridge', 'podwire-shim'],
    ['host-local', join(directory, 'podwire')],
    ['mine', '/opt/other/podwire'],
    ['dangling', 'nothing'],
  ] as const) {
    symlinkSync(target, join(directory, name))
  }
  return directory
}

test('podwire uninstall removes what install put there, and nothing else', async (t) => {
  const directory = makeDirectory(t)
  const { stdout, exitStatus } = await makeNode().podwire('uninstall', directory)
  t.equal(exitStatus, 0)
  t.equal(
    stdout.replaceAll(`${directory}/`, ''),
    [
      ...['bridge', 'cni-bridge', 'host-local', 'podwire', 'podwire-shim'],
      ...['podwire.new.12', 'podwire-shim.new.7'],
      ...['.podwire/1.node', '.podwire/2.node'],
    ]
      .map((name) => `${name}: removed\n`)
      .join(''),
  )
  t.strictSame(readdirSync(directory).sort(), ['dangling', 'loopback', 'mine', 'podwire.conf', 'podwire.new'])
  t.match(await makeNode().podwire('uninstall', directory), {
    exitStatus: 1,
    stderr: `podwire uninstall: ${directory} has nothing that podwire install put there\n`,
  })
})

test('podwire uninstall takes out what podwire install has put in', async (t) => {
  const root = t.testdir({ from: { podwire: 'x', 'podwire-shim': 'y' }, to: { flannel: 'of somebody else' } })
  const { podwire } = makeNode({ about: { executable: join(root, 'from/podwire') } })
  const to = join(root, 'to')
  t.equal((await podwire('install', to, '--shim', '--upstream-names')).exitStatus, 0)
  t.equal(readlinkSync(join(to, 'host-local')), 'podwire-shim')
  t.equal((await podwire('uninstall', to)).exitStatus, 0)
  t.strictSame(readdirSync(to), ['flannel'])
})

test('podwire uninstall refuses while pods are attached, unless it is told to', async (t) => {
  const directory = makeDirectory(t)
  const { attach, podwire } = makeNode()
  for (const name of ['a', 'b', 'c', 'd']) await attach(name)
  t.match(await podwire('uninstall', directory), {
    exitStatus: 1,
    stderr:
      /4 attachments would never be taken down: demo\/a, demo\/b, demo\/c, and 1 more\n {2}drain the node first/,
  })
  t.ok(readdirSync(directory).includes('podwire'))
  t.equal((await podwire('uninstall', directory, '--force')).exitStatus, 0)
  t.notOk(readdirSync(directory).includes('podwire'))
})

test('podwire uninstall does not mind what is left of pods that are gone', async (t) => {
  const directory = makeDirectory(t)
  const { scene, attach, podwire } = makeNode()
  await attach('a')
  scene.kernel.removeNamespace('/run/netns/a')
  t.equal((await podwire('uninstall', directory)).exitStatus, 0)
})
