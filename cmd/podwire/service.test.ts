// deploy/podwire.service, by systemd's own check where that is there, and by what must not be in it.

import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'tap'

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
