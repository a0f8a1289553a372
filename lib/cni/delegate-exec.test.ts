import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createDelegateExec } from './delegate-exec.ts'

const PATH = { PATH: '/usr/bin:/bin' }

/** A directory with executables of these scripts, and what delegates wrote to their stderr. */
function prepare(t: Test, scripts: Readonly<Record<string, string>>, busyTimeoutMs = 50) {
  const directory = t.testdir()
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(join(directory, name), text)
    chmodSync(join(directory, name), 0o755)
  }
  const chunks: Uint8Array[] = []
  const exec = createDelegateExec({ stderr: (chunk) => chunks.push(chunk), busyTimeoutMs })
  const run = (name: string, stdin = '') =>
    exec.run({
      file: join(directory, name),
      stdin,
      environment: { ...PATH, CNI_COMMAND: 'ADD' },
    })
  return { directory, exec, run, stderr: () => Buffer.concat(chunks).toString() }
}

const sh = (text: string) => `#!/bin/sh\n${text}\n`

test('delegate exec finds the first regular file of that name, through links', async (t) => {
  const { directory, exec } = prepare(t, { real: sh('true') })
  mkdirSync(join(directory, 'a', 'x'), { recursive: true })
  mkdirSync(join(directory, 'b'))
  symlinkSync('../real', join(directory, 'b', 'x'))
  const [a, b, none] = [join(directory, 'a'), join(directory, 'b'), join(directory, 'none')]
  t.equal(await exec.find('x', [none, a, b, directory]), join(b, 'x'), 'a directory is no plugin')
  for (const [type, path, message] of [
    ['', [a], 'no plugin name provided'],
    ['../x', [a], 'invalid plugin name: ../x'],
    ['x', [], 'no paths provided'],
    ['x', [none, a], `failed to find plugin "x" in path [${none} ${a}]`],
    ['..', [a], `failed to find plugin ".." in path [${a}]`],
  ] as const) {
    await t.rejects(exec.find(type, path), { code: 999, message }, message)
  }
})

test('delegate exec gives the child stdin and environment and takes what it prints', async (t) => {
  const { run, stderr } = prepare(t, {
    echo: sh('echo "$CNI_COMMAND $HOME"; cat; echo noise >&2'),
    fail: sh('echo "{}"; echo why >&2; exit 3'),
    killed: sh('kill -9 $$'),
    silent: sh('exit 0'),
  })
  const stdin = `{"a":"ä${'x'.repeat(200_000)}"}`
  const ended = { status: 0, signal: null, stdout: '', stderr: '' }
  t.same(await run('echo', stdin), { ...ended, stdout: `ADD \n${stdin}`, stderr: 'noise\n' })
  t.same(await run('fail'), { ...ended, status: 3, stdout: '{}\n', stderr: 'why\n' })
  t.same(await run('killed'), { ...ended, status: null, signal: 'SIGKILL' })
  t.same(await run('silent', 'x'.repeat(1_000_000)), ended, 'which does not read its stdin')
  t.equal(stderr(), 'noise\nwhy\n', 'their stderr is passed on')
})

test('delegate exec kills a child that prints without end', async (t) => {
  const { run } = prepare(t, { mad: sh('exec yes') })
  await t.rejects(run('mad'), {
    code: 999,
    message: /^run delegate ".*\/mad": printed more than 8388608 bytes$/,
  })
})

test('delegate exec does not wait for what a delegate leaves running', async (t) => {
  const { directory } = prepare(t, { daemonizes: sh('sleep 1000 & echo "{}"; echo $! >&2') })
  const exec = createDelegateExec({ stderr: () => undefined, drainTimeoutMs: 100 })
  const exit = await exec.run({ file: join(directory, 'daemonizes'), stdin: '', environment: PATH })
  process.kill(Number(exit.stderr))
  t.match(exit, { status: 0, stdout: '{}\n' })
})

test('delegate exec kills a delegate when nobody waits for it any more, and lets the next clean up', async (t) => {
  const { directory } = prepare(t, {
    endless: sh('echo running >&2; exec sleep 1000'),
    cleanup: sh('echo clean'),
  })
  const abandoning = new AbortController()
  const exec = createDelegateExec({ stderr: () => abandoning.abort(), abandoned: abandoning.signal })
  const run = (name: string) => exec.run({ file: join(directory, name), stdin: '', environment: PATH })
  await t.rejects(run('endless'), { code: 999, message: /: killed, since nobody waits for it any more$/ })
  t.match(await run('cleanup'), { status: 0, stdout: 'clean\n' })
})

test('delegate exec ends what somebody started who was killed, before it runs anything', async (t) => {
  const { directory } = prepare(t, { hangs: sh('exec sleep 60'), works: sh('echo done') })
  const start = async (variables: Readonly<Record<string, string>>) => {
    const child = spawn(join(directory, 'hangs'), { env: { ...PATH, ...variables } })
    t.teardown(() => child.kill('SIGKILL'))
    await once(child, 'spawn')
    return child
  }
  const [orphan, other] = await Promise.all([start({ OF: 'this' }), start({ OF: 'another' })])
  const ended = once(orphan, 'exit')
  const isOrphan = (variables: readonly string[]) => variables.includes('OF=this')
  const exec = createDelegateExec({ stderr: () => undefined, isOrphan })
  const { stdout } = await exec.run({ file: join(directory, 'works'), stdin: '', environment: PATH })
  t.equal(stdout, 'done\n')
  t.strictSame(await ended, [null, 'SIGKILL'])
  t.strictSame([other.exitCode, other.signalCode], [null, null], 'and nothing else')
})

const WITHOUT_DESCRIPTORS = `
import { openSync } from 'node:fs'
import { createDelegateExec } from ${JSON.stringify(join(import.meta.dirname, 'delegate-exec.ts'))}
const exec = createDelegateExec({ stderr: () => undefined })
const run = () => exec.run({ file: '/bin/true', stdin: '', environment: {} })
await run()
try {
  for (;;) openSync('/dev/null')
} catch {}
await run().catch(({ message }) => console.log(message))`

test('delegate exec says so when there are no descriptors left for a child', async (t) => {
  const words = [process.execPath, '--input-type=module', '--eval', WITHOUT_DESCRIPTORS]
  // By NODE_OPTIONS tap has each process report at its end, for which it needs a descriptor.
  const script = 'unset NODE_OPTIONS; ulimit -n 64; exec "$@"'
  const said = execFileSync('sh', ['-c', script, 'sh', ...words], { encoding: 'utf8', env: PATH })
  t.equal(said, 'run delegate "/bin/true": EMFILE\n')
})

test('delegate exec passes all of a long stderr on and keeps its beginning', async (t) => {
  const { run, stderr } = prepare(t, { loud: sh('head -c 300000 /dev/zero >&2') })
  t.equal((await run('loud')).stderr.length, 65536)
  t.equal(stderr().length, 300_000)
})

test('delegate exec says why a child cannot be started', async (t) => {
  const { directory, run } = prepare(t, { plain: sh('true'), orphan: '#!/no/such/interpreter\n' })
  chmodSync(join(directory, 'plain'), 0o644)
  for (const [name, why] of [
    ['plain', 'EACCES'],
    ['gone', 'ENOENT'],
    ['orphan', 'ENOENT'],
  ] as const) {
    await t.rejects(run(name), { code: 999, message: `run delegate "${join(directory, name)}": ${why}` }, why)
  }
})

test('delegate exec waits for an executable that is being written, up to a deadline', async (t) => {
  const script = { busy: sh('echo done') }
  const impatient = prepare(t, script, 1)
  const writer = openSync(join(impatient.directory, 'busy'), 'r+')
  await t.rejects(impatient.run('busy'), { code: 999, message: /ETXTBSY$/ })
  closeSync(writer)

  const patient = prepare(t, script, 60_000)
  const second = openSync(join(patient.directory, 'busy'), 'r+')
  const exit = patient.run('busy')
  setImmediate(() => closeSync(second))
  t.equal((await exit).stdout, 'done\n')
})
