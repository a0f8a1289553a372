import {
  chmodSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { run } from './commands.ts'
import { PLUGINS } from './registry.ts'

const ABOUT = {
  version: '1.2.3',
  executable: '/x/podwire',
  plugins: PLUGINS,
  upstreamNames: { bridge: 'cni-bridge', 'host-local': 'ipam-host-local' },
  openPorts: () => Promise.reject(new Error('no command here opens ports')),
  runDaemon: () => Promise.reject(new Error('no command here is the daemon')),
  environment: {},
  isTerminal: false,
  columns: Number.POSITIVE_INFINITY,
  progress: () => undefined,
}

const ROWS = [
  { words: ['version'], exitStatus: 0, stdout: /^1\.2\.3\n$/, stderr: /^$/ },
  { words: ['--version'], exitStatus: 0, stdout: /^1\.2\.3\n$/, stderr: /^$/ },
  {
    words: ['help'],
    exitStatus: 0,
    stdout: /podwire install .*cni-bridge.*ipam-host-local/s,
    stderr: /^$/,
  },
  { words: [], exitStatus: 2, stdout: /^$/, stderr: /podwire install / },
  {
    words: ['nosuch'],
    exitStatus: 2,
    stdout: /^$/,
    stderr: /^no command "nosuch"\n {2}podwire help lists them\n$/,
  },
  { words: ['constructor'], exitStatus: 2, stdout: /^$/, stderr: /^no command "constructor"/ },
  {
    words: ['install'],
    exitStatus: 2,
    stdout: /^$/,
    stderr: /^podwire install: where to\? DIR, or --conflist\n/,
  },
  {
    words: ['install', 'a', 'b'],
    exitStatus: 2,
    stdout: /^$/,
    stderr: /^podwire install: "b" is one argument too many\nusage: podwire install DIR .*\n$/,
  },
  {
    words: ['list', '--help'],
    exitStatus: 0,
    stdout: /^Usage {2}podwire list .*-o, --output wide\|json/ms,
    stderr: /^$/,
  },
  {
    words: ['help', 'gc'],
    exitStatus: 0,
    stdout: /^ {2}# a look before.*\n {2}podwire gc --dry-run$/m,
    stderr: /^$/,
  },
  { words: ['help', 'nosuch'], exitStatus: 2, stdout: /^$/, stderr: /no command "nosuch"/ },
  {
    words: ['gc', '--dryrun'],
    exitStatus: 2,
    stdout: /^$/,
    stderr: /^podwire gc: there is no option --dryrun\n/,
  },
  { words: ['list', '--pod'], exitStatus: 2, stdout: /^$/, stderr: /^podwire list: --pod needs a value\n/ },
  { words: ['gc', '--dry-run=1'], exitStatus: 2, stdout: /^$/, stderr: /: --dry-run takes no value\n/ },
  { words: ['export'], exitStatus: 2, stdout: /^$/, stderr: /^podwire export: an argument is missing\n/ },
  {
    words: ['list', '-o', 'xml'],
    exitStatus: 2,
    stdout: /^$/,
    stderr: /^podwire list: --output is one of wide, json, yaml, name, not "xml"\nusage: podwire list/,
  },
  { words: ['completion', 'csh'], exitStatus: 2, stdout: /^$/, stderr: /bash, zsh and fish are known/ },
  { words: ['explain'], exitStatus: 0, stdout: /^ {2}cni-bridge +plugs a pod into a bridge/m, stderr: /^$/ },
  {
    words: ['explain', 'cni-ptp'],
    exitStatus: 0,
    stdout: /^ipam\.type {2}string, required\n {2}the IPAM plugin$.*^ {6}"type": "cni-ptp",$/ms,
    stderr: /^$/,
  },
  {
    words: ['explain', 'ipam-static'],
    exitStatus: 0,
    stdout: /^IP {2}in CNI_ARGS\n {2}addresses in CIDR notation/m,
    stderr: /^$/,
  },
  {
    words: ['explain', 'bridge', 'MTU'],
    exitStatus: 0,
    stdout:
      /^mtu {2}integer 0\.\.65535 \| "auto", bytes, else 0\n.*^ {2}In upstream's plugin: "auto" is not there/ms,
    stderr: /^$/,
  },
  {
    words: ['explain', 'cni-portmap', 'hostport'],
    exitStatus: 0,
    stdout:
      /^runtimeConfig\.portMappings\[\]\.hostPort {2}integer 1\.\.65535, required\n {2}port of the node\n$/,
    stderr: /^$/,
  },
  { words: ['explain', 'nosuch'], exitStatus: 2, stdout: /^$/, stderr: /no plugin is called "nosuch"/ },
  {
    words: ['explain', 'cni-ptp', 'nosuch'],
    exitStatus: 2,
    stdout: /^$/,
    stderr: /cni-ptp has no field "nosuch"\n {2}podwire explain cni-ptp lists them\n$/,
  },
  {
    words: ['install', '/nonexistent'],
    exitStatus: 1,
    stdout: /^$/,
    stderr: /^podwire install: "\/nonexistent" is no directory\n {2}.*mkdir -p \/nonexistent\n$/,
  },
]

test('the help fits in 80 columns, but for commands to be copied', async (t) => {
  const names = [...(await run(['help'], ABOUT)).stdout.matchAll(/^ {2}podwire (\w+)/gm)].map(
    ([, name]) => name,
  )
  t.ok(names.length > 10)
  for (const words of [['help'], ...names.map((name) => ['help', `${name}`])]) {
    const [about = ''] = (await run(words, ABOUT)).stdout.split('\nExamples\n')
    t.strictSame(
      about.split('\n').filter((line) => line.length > 80),
      [],
      words.join(' '),
    )
  }
})

for (const { words, ...outcome } of ROWS) {
  test(`podwire answers with status ${outcome.exitStatus} when its words are [${words.join(' ')}]`, async (t) => {
    t.match(await run(words, ABOUT), outcome)
  })
}

test('install puts the executable and its names into the directory, again and again', async (t) => {
  const root = t.testdir({ source: 'first', bin: { 'cni-bridge': 'an older plugin' } })
  const [executable, directory] = [join(root, 'source'), join(root, 'bin')]
  for (const content of ['first', 'second']) {
    writeFileSync(executable, content)
    t.equal((await run(['install', directory], { ...ABOUT, executable })).exitStatus, 0)
    t.same(
      readdirSync(directory).sort(),
      [...PLUGINS.map(({ name }) => name), 'podwire'].sort(),
      'and leaves nothing else',
    )
    t.equal(readFileSync(join(directory, 'cni-bridge'), 'utf8'), content)
    t.equal(statSync(join(directory, 'podwire')).mode & 0o777, 0o755)
    t.equal(readlinkSync(join(directory, 'ipam-host-local')), 'podwire')
  }
})

test('install leaves the executable alone when it runs from the directory', async (t) => {
  const directory = t.testdir({ podwire: 'itself' })
  const executable = join(directory, 'podwire')
  chmodSync(executable, 0o755)
  const before = lstatSync(executable).ino
  const { stdout } = await run(['install', directory], { ...ABOUT, executable })
  t.match(stdout, `${executable}: is what is there\n`)
  t.equal(lstatSync(executable).ino, before)
})

test('install makes the names the shim’s, beside the executable, when asked to', async (t) => {
  const root = t.testdir({ from: { podwire: 'it', 'podwire-shim': 'asks' }, bin: { 'cni-bridge': 'older' } })
  const executable = join(root, 'from', 'podwire')
  const { exitStatus } = await run(['install', join(root, 'bin'), '--shim'], { ...ABOUT, executable })
  t.equal(exitStatus, 0)
  t.equal(readlinkSync(join(root, 'bin', 'cni-bridge')), 'podwire-shim')
  t.equal(readFileSync(join(root, 'bin', 'cni-bridge'), 'utf8'), 'asks')
  t.equal(statSync(join(root, 'bin', 'podwire-shim')).mode & 0o777, 0o755)
  t.equal(readFileSync(join(root, 'bin', 'podwire'), 'utf8'), 'it')
})

test('install adds upstream’s names when asked to', async (t) => {
  const root = t.testdir({ source: 'it', bin: {} })
  const { exitStatus } = await run(['install', join(root, 'bin'), '--upstream-names'], {
    ...ABOUT,
    executable: join(root, 'source'),
  })
  t.equal(exitStatus, 0)
  t.same(
    readdirSync(join(root, 'bin')).sort(),
    ['bridge', 'host-local', ...PLUGINS.map(({ name }) => name), 'podwire'].sort(),
  )
  t.equal(readlinkSync(join(root, 'bin', 'host-local')), 'podwire')
})
