// deploy/podwire.service, by systemd's own check where that is there, and by what must not be in it.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Test, test } from 'tap'
import { Disk } from './disk.ts'
import { makeNode } from './node.fixture.ts'
import { installUnit, runsSystemd, uninstallUnit, unitText } from './unit.ts'

const UNIT = readFileSync(resolve(import.meta.dirname, '../../deploy/podwire.service'), 'utf8')
const SETTINGS = UNIT.split('\n').filter((line) => /^[A-Z]/.test(line))

/** systemd.exec(5): each of these makes a mount namespace, which runtimes do not share. */
const MOUNTING =
  /^(?:Protect(?:System|Home|Proc|KernelTunables|KernelModules|KernelLogs|ControlGroups)|Private(?:Tmp|Devices|Mounts|Users|Network|IPC)|ReadWritePaths|ReadOnlyPaths|InaccessiblePaths|ExecPaths|NoExecPaths|BindPaths|BindReadOnlyPaths|TemporaryFileSystem|RootDirectory|RootImage|ProcSubset|DynamicUser|MountFlags)=/

test('the service makes no namespace of its own', async (t) => {
  t.ok(SETTINGS.length > 20)
  t.strictSame(
    SETTINGS.filter((line) => MOUNTING.test(line)),
    [],
  )
  t.notMatch(UNIT, /^MemoryDenyWriteExecute=/m)
})

test('the service that is delivered is the one that podwire install writes', async (t) => {
  t.equal(UNIT, unitText('/opt/cni/bin/podwire'))
})

const RELOADED = 'systemd: told to read its units anew'

/** A directory for executables, one for units, and what was told to process 1. */
function makePlace(t: Test, root: NonNullable<Parameters<Test['testdir']>[0]> = {}) {
  const directory = t.testdir({ bin: {}, units: { 'multi-user.target.wants': {} }, root })
  const told: string[] = []
  const place = {
    disk: new Disk(),
    unitDir: join(directory, 'units'),
    reload: () => void told.push('reload'),
  }
  return {
    directory,
    bin: join(directory, 'bin'),
    file: join(directory, 'units/podwire.service'),
    place,
    told,
  }
}

test('podwire install --systemd writes the service for where it installs to, and uninstall takes it away', async (t) => {
  const { bin, file, place, told } = makePlace(t)
  t.strictSame(installUnit(bin, place), [
    `${file}: written; to use it: systemctl enable --now podwire`,
    RELOADED,
  ])
  t.match(readFileSync(file, 'utf8'), `\nExecStart=${bin}/podwire daemon\n`)
  t.strictSame(installUnit(bin, place), [`${file}: is what is there`])
  t.strictSame(uninstallUnit('/opt/cni/bin', place), [], 'which has another executable')
  const wanted = join(place.unitDir, 'multi-user.target.wants/podwire.service')
  symlinkSync(file, wanted)
  t.strictSame(uninstallUnit(bin, place), [`${wanted}: removed`, `${file}: removed`, RELOADED])
  t.strictSame(uninstallUnit(bin, place), [])
  t.strictSame(told, ['reload', 'reload'], 'once for each change')
})

test('podwire install --systemd leaves a service of somebody else alone, and writes its own anew', async (t) => {
  const { bin, file, place } = makePlace(t)
  writeFileSync(file, '[Service]\nExecStart=/mine\n')
  t.strictSame(installUnit(bin, place), [`${file}: kept, it is not ours`])
  t.strictSame(uninstallUnit(bin, place), [])
  writeFileSync(file, unitText('/elsewhere/podwire'))
  t.strictSame(installUnit(bin, place), [`${file}: written; to use it: systemctl restart podwire`, RELOADED])
  t.throws(() => installUnit(`${bin}/a b%i`, place), { message: /would not understand the path/ })
})

test('podwire itself installs the service, and takes it away with the rest', async (t) => {
  const { directory, bin, file } = makePlace(t)
  for (const name of ['podwire', 'podwire-shim']) writeFileSync(join(directory, name), 'x')
  const { podwire } = makeNode({ about: { executable: join(directory, 'podwire') } })
  const units = ['--unit-dir', join(directory, 'units')]
  t.match(await podwire('install', bin, '--shim', '--systemd', ...units), {
    exitStatus: 0,
    stdout: /podwire\.service: written; /,
  })
  t.match(await podwire('uninstall', bin, ...units), {
    exitStatus: 0,
    stdout: /^\S+podwire\.service: removed\n/,
  })
  t.notOk(existsSync(file))
  t.match(await podwire('install', '--shim', '--systemd', '--conflist', directory), {
    exitStatus: 2,
    stderr: /--systemd needs DIR/,
  })
})

test('systemd is told to read its units where it is process 1', async (t) => {
  const run = { systemd: { system: {} } }
  for (const [expected, root] of [
    [true, { run, proc: { 1: { comm: 'systemd\n' } } }],
    [false, { run, proc: { 1: { comm: 'sh\n' } } }],
    [false, { proc: { 1: { comm: 'systemd\n' } } }],
  ] as const) {
    const { directory } = makePlace(t, root)
    t.equal(runsSystemd(new Disk(join(directory, 'root'))), expected)
  }
})

test('systemd starts the service again for as long as it takes', async (t) => {
  const [head = ''] = UNIT.split('[Service]')
  t.match(head, /^StartLimitIntervalSec=0$/m, 'in [Unit], where systemd reads it')
  t.ok(SETTINGS.includes('Restart=always'))
})

test('records outlive the service', async (t) => {
  t.ok(SETTINGS.includes('RuntimeDirectory=podwire'))
  t.ok(SETTINGS.includes('RuntimeDirectoryPreserve=yes'))
})

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0

test('systemd understands the service', { skip: hasSystemd ? false : 'needs systemd-analyze' }, async (t) => {
  const file = join(t.testdir({}), 'podwire.service')
  // It looks for the executable, too.
  writeFileSync(file, UNIT.replace('ExecStart=/opt/cni/bin/podwire', 'ExecStart=/bin/true'))
  t.equal(execFileSync('systemd-analyze', ['verify', file], { encoding: 'utf8', stdio: 'pipe' }), '')
})
