// The commands for people, as they are built: what they tell of pods on a node, and of what somebody has changed there.

import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { podwire } from './harness/contestant.ts'
import { TestNode } from './harness/node.ts'
import { DEADLINE_MS } from './harness/play-area.ts'
import { bridgeConfig, callPlugin } from './harness/plugin.ts'
import type { RunOptions } from './harness/process.ts'
import { readWorld } from './harness/world.ts'

root.setTimeout(DEADLINE_MS)

async function makeNode(t: Test) {
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  await node.addOutside()
  await node.must('ip', 'route', 'add', 'default', 'via', '192.0.2.2')
  const config = bridgeConfig(node, { ranges: [[{ subnet: '10.1.0.0/28' }]] })
  const attach = async (label: string) => {
    const pod = await node.addPod(label)
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=${label}`
    t.equal((await callPlugin(node, { type: podwire.bridge, command: 'ADD', pod, config, args })).status, 0)
    return pod
  }
  const places = ['--conf-dir', join(node.directory, 'net.d'), '--bin-dir', podwire.directory]
  const run = (...words: readonly string[]) =>
    node.exec([join(podwire.directory, 'podwire'), ...words], {
      environment: { PODWIRE_STATE_DIR: node.stateDir, PODWIRE_SOCKET: node.socketPath },
    })
  return { node, attach, run, places }
}

test('who is not root may ask for help, and is told to be root for the rest', {
  timeout: DEADLINE_MS,
}, async (t) => {
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
  // As installed: a checkout may be closed to others.
  const directory = mkdtempSync('/tmp/pw-bin-')
  t.teardown(() => rmSync(directory, { recursive: true }))
  execFileSync(join(podwire.directory, 'podwire'), ['install', directory])
  chmodSync(directory, 0o755)
  const run = (words: readonly string[], options: RunOptions = {}) =>
    node.exec([...nobody, join(directory, words[0] ?? ''), ...words.slice(1)], options)
  t.match(await run(['podwire', 'help']), { status: 0, stdout: /^Podwire /, stderr: '' })
  t.match(await run(['podwire', 'daemon']), {
    status: 1,
    stderr: /^podwire daemon: .*is to be run as root\n$/,
  })
  const environment = {
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: 'a',
    CNI_NETNS: node.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: directory,
  }
  const config = bridgeConfig(node, { ranges: [[{ subnet: '10.1.0.0/28' }]] })
  const added = await run(['cni-bridge'], { environment, stdin: JSON.stringify(config) })
  t.match(
    { ...added, stdout: JSON.parse(added.stdout) },
    { status: 1, stdout: { msg: /is to be run as root/ }, stderr: '' },
  )
})

test('commands tell what is attached, and change nothing', { timeout: DEADLINE_MS }, async (t) => {
  const { node, attach, run, places } = await makeNode(t)
  t.match(await run('list'), { status: 0, stdout: 'nothing is attached\n', stderr: '' })
  t.notOk(existsSync(node.stateDir), 'no store is made for a look')
  for (const label of ['web', 'api']) await attach(label)
  const before = await readWorld(node.name)
  const list = await run('list', '--pod', 'demo/web', '-o', 'json')
  t.match(JSON.parse(list.stdout), [{ pod: { name: 'web' }, addresses: ['10.1.0.2/28'], state: 'attached' }])
  t.match(await run('pools'), { status: 0, stdout: /net +10\.1\.0\.1-10\.1\.0\.14 +2 +11 +13 +15% / })
  t.match(await run('status'), { status: 0, stdout: /^Attachments +2 in 1 network$/m })
  t.match(await run('check'), { status: 0, stdout: /2 attachments as ADD made them\n$/ })
  t.match(await run('show', 'demo/web'), { status: 0, stdout: /^CHECK: all as ADD made it$/m })
  t.match(await run('trace', 'web', 'api'), {
    status: 0,
    stdout: /^arrives: demo\/api sees it come from 10\.1\.0\.2$/m,
  })
  t.match(await run('trace', 'web', '192.0.2.2'), {
    status: 0,
    stdout: /^leaves: by eth0, to 192\.0\.2\.2, as 192\.0\.2\.1$/m,
  })
  const doctor = await run('doctor', '-q', ...places)
  t.match(doctor, {
    status: 1,
    stdout: /^warning {2}network configuration .* has none.*\n.*\n29 examinations: 1 warning\n$/,
  })
  t.strictSame(await readWorld(node.name), before)
})

test('commands tell what somebody has changed, and what to do', { timeout: DEADLINE_MS }, async (t) => {
  const { node, attach, run, places } = await makeNode(t)
  const web = await attach('web')
  const api = await attach('api')
  await node.must('nft', 'flush', 'ruleset')
  t.match(await run('check', 'web'), {
    status: 1,
    stdout: /element inet podwire masquerade_ipv4 \{ 10\.1\.0\.2 \}: missing/,
  })
  t.match(await run('show', 'web'), {
    status: 1,
    stdout: /^! .*masquerade +10\.1\.0\.2 beyond 10\.1\.0\.0\/28 +missing$/m,
  })
  t.match(await run('doctor', '-q', ...places), {
    status: 2,
    stdout: /^trouble {2}CHECK of all attachments +demo\/api eth0: /,
  })
  t.match(await run('repair'), { status: 0 })
  t.match(await run('check', 'web'), { status: 0 })
  await node.must('sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward')
  t.match(await run('trace', 'web', '192.0.2.2'), {
    status: 1,
    stdout: /^dies: forwarding is off .*\n {2}→ podwire repair; .*\n$/m,
  })
  t.match(await run('repair'), { status: 0 })
  t.match(await run('trace', 'web', '192.0.2.2'), { status: 0 })
  await node.removePod(api)
  t.match(await run('list'), { stdout: / gone / })
  t.match(await run('check', 'api'), { status: 1, stdout: /podwire gc removes what is left/ })
  t.match(await run('gc'), { status: 0 })
  t.strictSame(podwire.listAttachments(node.stateDir).length, 1)
  t.match(await run('uninstall', join(node.directory)), {
    status: 1,
    stderr: /has nothing that podwire install put there/,
  })
  t.ok(web)
})

/** The delegate of two pods whose CHECK and DEL take longer than a person waits without a word. */
const SLOW = `#!/bin/sh
case $CNI_COMMAND in
  ADD) echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.9/24"}]}' ;;
  *) sleep 1.1 ;;
esac
`

test('what takes longer tells how far it is, on a terminal and nowhere else', {
  timeout: DEADLINE_MS,
}, async (t) => {
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  const bin = join(node.directory, 'bin')
  mkdirSync(bin)
  await node.must(join(podwire.directory, 'podwire'), 'install', bin)
  writeFileSync(join(bin, 'slow'), SLOW, { mode: 0o755 })
  const config = { cniVersion: '1.0.0', name: 'net', type: podwire.bridge, ipam: { type: 'slow' } }
  const pods = [await node.addPod('a'), await node.addPod('b')]
  for (const pod of pods)
    t.equal(
      (await callPlugin(node, { type: podwire.bridge, command: 'ADD', pod, config, directories: [bin] }))
        .status,
      0,
    )
  const environment = { PODWIRE_STATE_DIR: node.stateDir, TERM: 'xterm', NO_COLOR: '1' }
  const program = join(bin, 'podwire')
  const onTerminal = async (command: string) => {
    const { stdout } = await node.exec(['script', '-qec', `${program} ${command}`, '/dev/null'], {
      environment,
    })
    return stdout.split('\r\u001b[K') // each begins the line anew
  }
  const checked = await onTerminal('check')
  t.ok(checked.includes('1 of 2'), `${checked}`)
  t.match(checked.at(-1), /^a eth0 \(net\): ok\r\n.*2 attachments as ADD made them\r\n$/s)
  t.match(await node.exec([program, 'check'], { environment }), { status: 0, stderr: '', stdout: /^a eth0/ })
  for (const pod of pods) await node.removePod(pod)
  const collected = await onTerminal('gc')
  t.ok(collected.includes('cni-bridge, network net: 2 found'), `${collected}`)
  t.strictSame(podwire.listAttachments(node.stateDir), [])
})
