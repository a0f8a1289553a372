// What docs/security.md says of each attacker, tried: what a runtime may be made to pass on, what lies where our files
// should, who is not root, plugins of others that lie, pods that pretend to be somebody else.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { podwire } from './harness/contestant.ts'
import { shimmed } from './harness/daemon.ts'
import { type Namespace, TestNode } from './harness/node.ts'
import { DEADLINE_MS } from './harness/play-area.ts'
import { type Call, type Config, callPlugin } from './harness/plugin.ts'
import type { Exit } from './harness/process.ts'
import { readWorld } from './harness/world.ts'

root.setTimeout(DEADLINE_MS)

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

interface Scene {
  readonly node: TestNode
  readonly pod: Namespace
  readonly config: Config
  /** Calls cni-bridge, or what `more` names. */
  call(command: string, more?: Partial<Call>): Promise<Exit>
  look(): Promise<string[]>
}

/** A node with a daemon, on which a pod has been, so that what stays of a network is there. */
async function open(t: Test): Promise<Scene> {
  const node = await TestNode.create(shimmed())
  t.teardown(() => node.remove())
  const pod = await node.addPod('pod')
  const config = configOf(node)
  const call: Scene['call'] = (command, more = {}) =>
    callPlugin(node, { type: podwire.bridge, command, pod, config, ...more })
  for (const command of ['ADD', 'DEL']) t.equal((await call(command)).status, 0)
  const look = async () => [
    ...(await readWorld(node.name)),
    ...podwire.listLeases(node.dataDir),
    ...podwire.listAttachments(node.stateDir),
  ]
  return { node, pod, config, call, look }
}

function configOf({ dataDir }: TestNode): Config {
  const ranges = [[{ subnet: '10.6.0.0/24' }], [{ subnet: 'fd00:6::/64' }]]
  return {
    cniVersion: '1.0.0',
    name: 'net',
    type: podwire.bridge,
    isDefaultGateway: true,
    ipMasq: true,
    ipam: { type: podwire.hostLocal, dataDir, ranges },
  }
}

interface DaemonStatus {
  readonly pid: number
  readonly ready: boolean
  readonly leftToCaller: Record<string, number>
}

/** By HTTP on its socket. @throws when it does not answer within 3 seconds */
function askStatus({ socketPath }: TestNode): DaemonStatus {
  const args = ['-sS', '-m', '3', '--unix-socket', socketPath, 'http://podwire/status']
  return JSON.parse(execFileSync('curl', args, { encoding: 'utf8' }))
}

const codeOf = ({ status, stdout }: Exit): number =>
  status === 0 ? 0 : (JSON.parse(stdout) as { code: number }).code

type Fields = Readonly<Record<string, unknown>>

/** What is passed on, and the code of the answer; 0 where it is fine. */
type Row = readonly [what: string, code: number, call: (scene: Scene) => Partial<Call>]

const SHELL = '$(reboot)`id`;&|*?#'
const ESCAPES = '\u001b[2J\u001b]0;x\u0007'

function field(name: string, rows: readonly (readonly [value: unknown, code: number])[]): Row[] {
  return rows.map(([value, code]) => [
    `${name} ${JSON.stringify(value).slice(0, 40)}`,
    code,
    ({ config }) => ({ config: { ...config, [name]: value } }),
  ])
}

function ipamField(
  name: string,
  rows: readonly (readonly [value: (node: TestNode) => unknown, code: number])[],
): Row[] {
  return rows.map(([value, code]) => [
    `ipam.${name} ${value}`,
    code,
    ({ config, node }) => ({
      config: { ...config, ipam: { ...(config['ipam'] as Fields), [name]: value(node) } },
    }),
  ])
}

function variable(
  name: 'CNI_CONTAINERID' | 'CNI_IFNAME' | 'CNI_NETNS' | 'CNI_ARGS',
  rows: readonly (readonly [value: string, code: number])[],
): Row[] {
  return rows.map(([value, code]) => [
    `${name} ${JSON.stringify(value).slice(0, 40)}`,
    code,
    () => ({ environment: { [name]: value } }),
  ])
}

/** Laid before a config as text, so that a parser sees keys that JavaScript would not write. */
function raw(what: string, code: number, beginning: string): Row {
  return [what, code, ({ config }) => ({ config: `${beginning}${JSON.stringify(config).slice(1)}` })]
}

const subnet = (text: string) => () => [[{ subnet: text }]]

const ROWS: readonly Row[] = [
  ...variable('CNI_CONTAINERID', [
    ...[
      '../x',
      '/etc/passwd',
      '.',
      '..',
      'a\nb',
      'ü',
      SHELL,
      "a'; DROP TABLE attachments;--",
      '%s%n',
      '-rf',
    ].map((id) => [id, 4] as const),
    ['__proto__', 4],
    [ESCAPES, 4],
    ['constructor', 0],
    ['a..b', 0],
    ['a'.repeat(300), 0],
  ]),
  ...variable('CNI_IFNAME', [
    ...['../x', 'a\nb', 'a'.repeat(300), '..', 'eth%d', '%s', ESCAPES.slice(0, 8), 'a\u009b'].map(
      (name) => [name, 4] as const,
    ),
    ...['lo', 'all', 'default'].map((name) => [name, 999] as const),
    ...['ü', '$(id)', '`id`', "a';--", '-rf', '*', '__proto__', 'a\u202eb'].map((name) => [name, 0] as const),
  ]),
  ...variable('CNI_NETNS', [
    ...[
      '../../proc/self/ns/net',
      'relative',
      ESCAPES,
      '/tmp/\nx',
      '/',
      '/dev/zero',
      '/dev/tty',
      '/proc/self/ns/net',
    ].map((path) => [path, 8] as const),
    [`/${'a'.repeat(5000)}`, 8],
    ['/proc/999999999/ns/net', 8],
    ['/proc/self/fd/0', 8],
  ]),
  ...variable('CNI_ARGS', [
    [`IgnoreUnknown=1;K8S_POD_NAME=${SHELL.replace(';', '')};K8S_POD_NAMESPACE=a\n\u001b[2J`, 0],
    ['IgnoreUnknown=1;__proto__=x;constructor=y', 0],
    [`IgnoreUnknown=1;${'A=B;'.repeat(20_000)}C=D`, 0],
    ['IgnoreUnknown=1;IP=10.6.0.9/99', 4],
    ['IgnoreUnknown=1;MAC=02:00:00:00:00:0g', 4],
  ]),
  ...field('name', [
    ...['../x', '..', 'a\nb', 'a\0b', 'ü', SHELL, ESCAPES, "a';--", '__proto__'].map(
      (name) => [name, 7] as const,
    ),
    ['constructor', 0],
    ['a'.repeat(300), 0],
  ]),
  ...field('bridge', [
    ...['../x', '..', 'a\nb', 'br%d', 'a\u001b[2J', 'ü'.repeat(8), 'a'.repeat(300)].map(
      (name) => [name, 7] as const,
    ),
    ...['all', 'default', 'lo'].map((name) => [name, 999] as const),
  ]),
  ...field(
    'mtu',
    [2 ** 31, 2 ** 32, 2 ** 53, 2 ** 64, 1e308, 65_536, -1, 1.5].map((mtu) => [mtu, 7] as const),
  ),
  ...field(
    'vlan',
    [4096, 2 ** 32, -1].map((vlan) => [vlan, 7] as const),
  ),
  ...ipamField('dataDir', [
    [() => 'relative', 7],
    [() => '../../etc', 7],
    [() => '/a\0b', 7],
    [() => '/proc/self', 999],
    [() => '/dev/null', 999],
    [() => `/${'a'.repeat(300)}`, 999],
    [({ directory }) => `${directory}/networks/../networks`, 0],
    [({ directory }) => `${directory}/ü\n${SHELL}`, 0],
  ]),
  ...ipamField('resolvConf', [
    [() => '../etc/resolv.conf', 7],
    [() => '/a\0b', 7],
    [() => '/nowhere', 5],
    [() => '/dev/zero', 5],
    [() => '/dev/tty', 5],
    [() => '/proc/self/mem', 5],
    [() => '/', 5],
    [({ directory }) => `${directory}/fifo`, 5],
    [() => '/dev/null', 5],
  ]),
  ...ipamField('ranges', [
    ...[
      '10.6.0.0/33',
      '10.6.0.0/-1',
      '10.6.0.0/4294967296',
      'fd00::/129',
      '10.6.0.0/024',
      '010.6.0.0/24',
    ].map((text) => [subnet(text), 7] as const),
    [subnet('10.6.0.0/24\0'), 7],
    [() => [Array.from({ length: 20_000 }, (_, i) => ({ subnet: `10.${i >> 8}.${i & 255}.0/24` }))], 7],
    [subnet(`10.6.0.${'0'.repeat(100_000)}/24`), 7],
  ]),
  ...ipamField('routes', [
    [() => [{ dst: '10.9.0.0/16', mtu: 2 ** 32 }], 7],
    [() => [{ dst: '10.9.0.0/16', table: -1 }], 7],
    [() => [{ dst: '10.9.0.0/16', gw: `10.6.0.1${'.1'.repeat(50_000)}` }], 7],
  ]),
  raw(
    'keys that objects know',
    0,
    '{"__proto__":{"bridge":"x","mtu":1},"constructor":{"prototype":{"mtu":1}},',
  ),
  raw('keys that objects know, within', 0, '{"args":{"__proto__":{"cni":{"mac":"02:00:00:00:00:09"}}},'),
  raw('400 levels', 0, `{"a":${'['.repeat(400)}${']'.repeat(400)},`),
  raw('a million levels', 6, `{"a":${'['.repeat(1e6)}${']'.repeat(1e6)},`),
  raw('20000 keys', 0, `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":1,`).join('')}`),
]

/** Codes of what is refused before anything is opened. */
const REFUSED_UNREAD = [4, 6, 7]

test('whatever is passed on is refused or means what it says, and nothing is left', async (t) => {
  const scene = await open(t)
  const { node, call, look } = scene
  await node.must('mkfifo', join(node.directory, 'fifo'))
  const [before, { pid }] = [await look(), askStatus(node)]
  const pods = await Promise.all(['p0', 'p1', 'p2', 'p3'].map((label) => node.addPod(label)))
  const rows = ROWS.entries()
  const play = async (pod: Namespace) => {
    for (const [, [what, code, hostile]] of rows) {
      t.equal(codeOf(await call('ADD', { pod, ...hostile(scene) })), code, what)
      if (!REFUSED_UNREAD.includes(code)) await call('DEL', { pod, ...hostile(scene) })
    }
  }
  await Promise.all(pods.map(play))
  t.strictSame(await look(), before)
  const { leftToCaller, ...status } = askStatus(node)
  t.match(status, { pid, ready: true }, 'it is the same daemon')
  t.strictSame(
    Object.keys(leftToCaller).filter((why) => !/relative|something else/.test(why)),
    [],
    'and it has served all that it could',
  )
})

/** Made by a shell in a directory that nobody has used yet; `$0` is the file. */
const PLANTED: readonly (readonly [what: string, script: string])[] = [
  ['a link to a file of root’s', 'ln -s ../victim "$0"'],
  ['a link to nowhere', 'ln -s ../nowhere "$0"'],
  ['a FIFO', 'mkfifo "$0"'],
  ['a file of somebody else’s', ': >"$0"; chown 65534 "$0"'],
  ['a file that all may write to', ': >"$0"; chmod 666 "$0"'],
  ['a directory that all may write to', 'chmod 1777 "$(dirname "$0")"'],
]

test('what lies where our files should is refused, and left as it is', async (t) => {
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  const pod = await node.addPod('pod')
  const victim = join(node.directory, 'victim')
  writeFileSync(victim, 'precious')
  let count = 0
  for (const [what, script] of PLANTED) {
    const file = `attachments.db${count % 2 === 0 ? '' : '.lock'}`
    const stateDir = join(node.directory, `state${count++}`)
    await node.must('sh', '-ec', `mkdir -m 755 ${stateDir}`)
    execFileSync('sh', ['-ec', script, join(stateDir, file)])
    const environment = { PODWIRE_STATE_DIR: stateDir }
    const added = await callPlugin(node, {
      type: podwire.bridge,
      command: 'ADD',
      pod,
      config: configOf(node),
      environment,
    })
    t.match(JSON.parse(added.stdout), { code: 999, msg: /EUNSAFE/, details: /only root/ }, what)
    t.equal(readFileSync(victim, 'utf8'), 'precious')
    t.strictSame(podwire.listLeases(node.dataDir), [], 'no address is taken')
  }
  t.match(
    await node.exec([join(podwire.directory, 'podwire'), 'daemon', '--socket', '/tmp/podwire.sock'], {
      environment: { PODWIRE_STATE_DIR: node.stateDir },
    }),
    {
      status: 1,
      stderr:
        /^podwire daemon: open "\/tmp\/podwire\.sock\.lock": EUNSAFE: "\/tmp" can be written to by others/,
    },
  )
})

test('who is not root neither asks the daemon, nor reads the stores, nor does anything alone', async (t) => {
  const { node, call, look } = await open(t)
  const before = await look()
  const nobody = (...command: readonly string[]) => node.exec([...NOBODY, ...command])
  await node.must('chmod', '755', node.directory) // so that it is the files themselves that are closed
  const curl = ['curl', '-sS', '-m', '5', '--unix-socket', node.socketPath, 'http://podwire/status']
  t.match(await nobody(...curl), { status: 7, stdout: '' })
  for (const file of [
    node.socketPath,
    join(node.stateDir, 'attachments.db'),
    join(node.dataDir, 'podwire-leases.db'),
  ])
    t.match(await nobody('cat', file), { status: 1, stdout: '' }, file)
  for (const command of ['ADD', 'DEL', 'GC']) {
    const answer = await call(command, {
      wrapper: NOBODY,
      config: { ...configOf(node), cniVersion: '1.1.0' },
    })
    t.notSame(answer.status, 0, command)
  }
  t.strictSame(await look(), before)
  t.strictSame(askStatus(node).leftToCaller, {}, 'the daemon has heard of none of it')
})

const RESULT = { cniVersion: '1.0.0', ips: [{ address: '10.6.0.9/24', gateway: '10.6.0.1' }] }
const print = (result: object | string) =>
  `cat <<'END'\n${typeof result === 'string' ? result : JSON.stringify(result)}\nEND`

/** What a plugin of somebody else does at ADD; code and message of ours. It has root's rights: this is about its answers. */
const LIARS: readonly (readonly [what: string, script: string, code: number, msg: RegExp])[] = [
  ['says nothing', '', 6, /printed no result/],
  ['says no JSON', 'echo hello', 6, /printed no JSON: "hello\\n"/],
  ['says half', `echo '{"ips": ['`, 6, /printed no JSON/],
  ['says null', 'echo null', 999, /IPAM plugin returned missing IP config/],
  ['says a list', 'echo "[]"', 6, /expected an object/],
  ['speaks for ever', 'exec yes', 999, /printed more than 8388608 bytes/],
  ['complains at length', `head -c 5000000 /dev/zero >&2; ${print(RESULT)}`, 0, /^/],
  [
    'looks for what it could inherit',
    `find /proc/self/fd -lname '*.db*' -o -lname '*.lock' -o -lname 'net:*' | grep -q . && exit 1; ${print(RESULT)}`,
    0,
    /^/,
  ],
  ['leaves a process', `sleep 20 & ${print(RESULT)}`, 0, /^/],
  ['gives what is no address', print({ ...RESULT, ips: [{ address: '10.6.0.9/33' }] }), 6, /10\.6\.0\.9\/33/],
  ['gives a route to a shell', print({ ...RESULT, routes: [{ dst: SHELL }] }), 6, /\$\(reboot\)/],
  [
    'gives numbers too large',
    print({ ...RESULT, routes: [{ dst: '10.9.0.0/16', mtu: 2 ** 40 }] }),
    999,
    /no u32/,
  ],
  ['speaks of prototypes', print(`{"__proto__":{"ips":[]},${JSON.stringify(RESULT).slice(1)}`), 0, /^/],
  ['nests', print(`{"dns":${'['.repeat(100_000)}${']'.repeat(100_000)}}`), 6, /./],
  [
    'fails with a long story',
    `echo '{"code":"x","msg":"'$(head -c 100000 /dev/zero | tr '\\0' x)'"}'; exit 1`,
    999,
    /^x+$/,
  ],
  ['moves the cursor', `printf '{"code":7,"msg":"\\\\u001b[2J"}'; exit 1`, 7, /./],
  ['kills itself', 'kill -9 $$', 999, /signal: SIGKILL/],
]

test('a delegate that lies is told of, whatever it says, and nothing is left', async (t) => {
  const { node, call, look, config } = await open(t)
  const [before, { pid }] = [await look(), askStatus(node)]
  const directories = [node.contestant.directory, node.directory]
  const delegating = { config: { ...config, ipam: { type: 'liar' } }, directories }
  for (const [what, script, code, msg] of LIARS) {
    const file = join(node.directory, 'liar')
    writeFileSync(file, `#!/bin/sh\nif [ "$CNI_COMMAND" != ADD ]; then exit 0; fi\n${script}\n`)
    chmodSync(file, 0o755)
    const added = await call('ADD', delegating)
    t.equal(codeOf(added), code, `${what}: ${added.stdout.slice(0, 200)}`)
    t.match((JSON.parse(added.stdout) as { msg?: string }).msg ?? '', msg, what)
    t.equal((await call('DEL', delegating)).status, 0, what)
  }
  t.strictSame(await look(), before)
  t.match(askStatus(node), { pid, ready: true, leftToCaller: {} })
  const { stdout } = await node.exec([join(podwire.directory, 'podwire'), 'status'], {
    environment: { PODWIRE_STATE_DIR: node.stateDir, PODWIRE_SOCKET: node.socketPath },
  })
  t.match(stdout, /\\u001b\[2J \(code 7\)/, 'what it said is shown, written out')
})

test('a delegate that never ends goes when its caller does, and the next call is served', async (t) => {
  const { node, pod, call, look, config } = await open(t)
  const before = await look()
  const [file, started] = [join(node.directory, 'endless'), join(node.directory, 'pid')]
  writeFileSync(
    file,
    `#!/bin/sh\n[ "$CNI_COMMAND" = ADD ] || exit 0\necho $$ >${started}.new; mv ${started}.new ${started}\nexec sleep 600\n`,
  )
  chmodSync(file, 0o755)
  const hanging = { ...config, ipam: { type: 'endless' } }
  const seen = fileAppears(started)
  const caller = spawn('ip', ['netns', 'exec', node.name, join(node.contestant.directory, podwire.bridge)], {
    env: {
      PATH: process.env['PATH'],
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: pod.label,
      CNI_NETNS: pod.path,
      CNI_IFNAME: 'eth0',
      CNI_PATH: node.directory,
      PODWIRE_STATE_DIR: node.stateDir,
      PODWIRE_SOCKET: node.socketPath,
    },
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  caller.stdin.end(JSON.stringify(hanging))
  await seen
  caller.kill('SIGKILL')
  await once(caller, 'close')
  // It waits for its turn: until the one before it has ended.
  t.equal(
    (await call('DEL', { config: hanging, directories: [node.contestant.directory, node.directory] })).status,
    0,
  )
  t.notOk(existsSync(`/proc/${readFileSync(started, 'utf8').trim()}`), 'it is gone')
  t.strictSame(await look(), before)
})

function fileAppears(path: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(join(path, '..'), () => {
      if (!existsSync(path)) return
      watcher.close()
      resolve()
    })
  })
}

/** To all nodes: lifetime 1800 s, hop limit 255 (RFC 4861, section 4.2). The kernel writes the checksum. */
const ADVERTISE = `
use Socket qw(:all);
socket(my $s, AF_INET6, SOCK_RAW, 58) or die "socket: $!";
setsockopt($s, 41, 18, pack('i', 255)) or die "hop limit: $!";
open(my $f, '<', '/sys/class/net/eth0/ifindex'); my $index = <$f>;
send($s, pack('C C n C C n N N', 134, 0, 0, 64, 0, 1800, 0, 0), 0,
  pack('S n N a16 L', AF_INET6, 0, 0, inet_pton(AF_INET6, 'ff02::1'), $index)) or die "send: $!";
`

test('a pod that pretends: what the node takes from it, and what is not prevented', async (t) => {
  const node = await TestNode.create(shimmed())
  t.teardown(() => node.remove())
  const config = { ...configOf(node), macspoofchk: true }
  const [pod, neighbour] = [await node.addPod('pod'), await node.addPod('neighbour')]
  for (const one of [pod, neighbour])
    t.equal((await callPlugin(node, { type: podwire.bridge, command: 'ADD', pod: one, config })).status, 0)
  const inside = async (one: Namespace, ...command: readonly string[]) =>
    (await node.exec(command, { inside: one })).status === 0
  const ping = (...more: readonly string[]) => inside(pod, 'ping', '-c', '1', '-W', '1', '-n', ...more)
  t.ok(await ping('10.6.0.1'), 'it reaches the gateway as itself')

  // With a deadline, ping goes on until the link-local address is usable.
  t.ok(await inside(pod, 'ping', '-c', '1', '-w', '5', '-i', '0.2', 'ff02::1%eth0'))
  t.ok(await inside(pod, 'perl', '-e', ADVERTISE))
  t.ok(await ping('fd00:6::1'), 'what is answered now came after it')
  const learnt = ['ip', '-6', 'route', 'show', 'default', 'proto', 'ra']
  t.equal(await node.must(...learnt), '', 'the node takes no route from a pod')
  const byNeighbour = await node.exec(learnt, { inside: neighbour })
  t.match(byNeighbour.stdout, /^default via fe80:/, 'another pod of the bridge does: not prevented')

  await inside(pod, 'ip', 'addr', 'add', '10.6.0.200/24', 'dev', 'eth0')
  t.ok(
    await ping('-I', '10.6.0.200', '10.6.0.1'),
    'an address that nobody gave it is answered: not prevented',
  )
  await inside(pod, 'ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:09')
  await node.must('ip', 'neigh', 'flush', 'dev', 'cni0')
  t.notOk(await ping('10.6.0.1'), 'another MAC address is dropped')
})
