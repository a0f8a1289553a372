// scripts/lib.sh: what forbids daemons to start while apt installs is gone afterwards, however it ends.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

const LIB = join(import.meta.dirname, 'lib.sh')

/** Installs a package that is missing, by `apt_install`, of which `apt` is the body. */
function installMissing(t: Test, apt: string, before?: string) {
  const directory = t.testdir({ 'apt-get': '#!/bin/sh\nexit 1\n' })
  chmodSync(join(directory, 'apt-get'), 0o755)
  const policy = join(directory, 'policy-rc.d')
  if (before !== undefined) writeFileSync(policy, before)
  const script = `. "$0"; policy=$1
    PATH=$(dirname "$1"):$PATH; id() { echo 0; }
    apt_install() { cat "$policy"; ${apt}; }
    trap 'echo at exit' EXIT
    need /nonexistent a-package why
    install_missing`
  const { stdout, status } = spawnSync('sh', ['-c', script, LIB, policy], { encoding: 'utf8' })
  return { stdout, status, left: existsSync(policy) ? readFileSync(policy, 'utf8') : undefined }
}

for (const [what, apt, status] of [
  ['has installed', 'true', 0],
  ['fails', 'false', 1],
  ['is interrupted', 'kill -INT $$', 130],
  ['is terminated', 'kill -TERM $$', 143],
  ['loses its terminal', 'kill -HUP $$', 129],
] as const)
  test(`install_missing lets daemons start again when it ${what}`, async (t) => {
    const ended = installMissing(t, apt)
    t.strictSame([ended.status, ended.left], [status, undefined])
    t.match(ended.stdout, /^exit 101$/m)
    t.match(ended.stdout, /at exit\n$/, 'and the script ends in its own way')
  })

test('install_missing removes what a killed one has left, and begins anew', async (t) => {
  const { left } = installMissing(t, 'kill -KILL $$')
  t.match(left, /exit 101/)
  const next = installMissing(t, 'true', left)
  t.strictSame([next.status, next.left], [0, undefined])
  t.match(next.stdout, /^exit 101$/m)
})

test('install_missing leaves alone what is not its own', async (t) => {
  const ofAnother = installMissing(t, 'kill -KILL $$').left?.replace(/process \d+/, `process ${process.pid}`)
  for (const before of ['#!/bin/sh\nexit 101\n', String(ofAnother)])
    for (const apt of ['true', 'kill -TERM $$']) t.equal(installMissing(t, apt, before).left, before)
})
