// The rules of who may import what, and of who may touch the process. They are data, with their reasons; the scan is
// by text, since no compiler API reads our TypeScript, and it fails when it has read nothing.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'tap'

const PROJECT = resolve(import.meta.dirname, '../..')

/** From the bottom up: a folder imports itself and what is in the rows before its own. */
const LAYERS: readonly (readonly string[])[] = [
  ['lib/ip', 'lib/native'],
  ['lib/log'],
  ['lib/netlink'],
  ['lib/netns'],
  ['lib/rtnl', 'lib/nftables', 'lib/sysctl', 'lib/conntrack'],
  ['lib/cni', 'lib/state'],
  ['lib/veth', 'lib/bridge', 'lib/ipam', 'lib/hostport', 'lib/firewall', 'lib/shaping'],
  ['lib/host'],
  ['lib/attach'],
  ['lib/daemon'],
  ['lib/testing'],
  ['cmd'],
]

/** Named above and still to be written. */
const PLANNED: readonly string[] = []

interface Ban {
  readonly what: string
  readonly pattern: RegExp
  /** Files and folders that are free to. */
  readonly allowed: readonly string[]
  readonly why: string
  /** Tests too. */
  readonly everywhere?: true
}

const BANS: readonly Ban[] = [
  {
    what: 'netlink',
    pattern: importing('netlink'),
    allowed: ['lib/netlink/socket.ts'],
    why: 'the package is a socket to us, and one file shows what that costs',
    everywhere: true,
  },
  {
    what: 'node:sqlite',
    pattern: importing('(?:node:)?sqlite'),
    allowed: ['lib/state/database.ts'],
    why: 'locking and the translation of errors are there; a second connection would know neither',
  },
  {
    what: 'ip-num',
    pattern: importing('ip-num'),
    allowed: ['lib/ip'],
    why: 'addresses have one type, ours',
    everywhere: true,
  },
  {
    what: 'pino',
    pattern: importing('pino'),
    allowed: ['lib/log', 'lib/daemon'],
    why: 'a plugin that is started for each call must not load a logger',
  },
  {
    what: 'node:child_process',
    pattern: importing('(?:node:)?child_process'),
    allowed: ['lib/cni/delegate-exec.ts'],
    why: 'the product starts no programs but the delegates that the spec asks for',
  },
  {
    what: 'process.env, argv or exit',
    pattern: /\bprocess\.(?:env|argv0?|exit|exitCode|reallyExit)\b/,
    allowed: ['cmd/*/main.ts', 'cmd/podwire/start.ts'],
    why: 'the same code runs in the daemon, where environment and exit status are those of a request',
  },
  {
    what: 'standard input or output',
    pattern: /\bprocess\.(?:stdin|stdout|stderr)\b|\bconsole\./,
    allowed: ['cmd/*/main.ts', 'cmd/podwire/start.ts', 'cmd/podwire/stdio.ts'],
    why: 'stdout belongs to the result of the call',
  },
  {
    what: 'Date.now',
    pattern: /\bDate\.now\b|\bnew Date\(\)/,
    allowed: ['lib/host/clock.ts'],
    why: 'time is a port, so that tests can set it',
  },
]

test('every layer is a folder, and every folder has a layer', (t) => {
  const named = LAYERS.flat()
  for (const folder of named.filter((name) => !PLANNED.includes(name)))
    t.ok(existsSync(join(PROJECT, folder)), `${folder} exists`)
  for (const entry of readdirSync(join(PROJECT, 'lib'), { withFileTypes: true }))
    t.ok(!entry.isDirectory() || named.includes(`lib/${entry.name}`), `lib/${entry.name} has a layer`)
  t.end()
})

test('imports point downwards', (t) => {
  const imports = sources().filter(isProduct).flatMap(localImports)
  t.ok(imports.length > 0, 'imports were found')
  t.same(imports.filter(({ from, to }) => layerOf(to) > layerOf(from)).map(describe), [])
  t.same(
    imports.filter(({ from, to }) => isBeside(from, to)).map(describe),
    [],
    'none between folders of one layer',
  )
  t.end()
})

test('tests import no entry point from lib', (t) => {
  const imports = sources()
    .filter((file) => !isProduct(file))
    .flatMap(localImports)
  t.same(
    imports.filter(({ from, to }) => folderOf(to) === 'cmd' && folderOf(from) !== 'cmd').map(describe),
    [],
  )
  t.end()
})

test('the product does not import its tests', (t) => {
  const imports = sources().filter(isProduct).flatMap(localImports)
  t.same(imports.filter(({ to }) => !isProduct(to)).map(describe), [])
  t.end()
})

test('no command imports another, the registry and the reference excepted', (t) => {
  const imports = sources()
    .filter((file) => file.startsWith('cmd/'))
    .flatMap(localImports)
  const across = imports.filter(({ from, to }) => to.startsWith('cmd/') && commandOf(from) !== commandOf(to))
  const registries = ['cmd/podwire/registry.ts', 'cmd/podwire/references.ts']
  t.same(across.filter(({ from }) => isProduct(from) && !registries.includes(from)).map(describe), [])
  t.end()
})

for (const { what, pattern, allowed, why, everywhere } of BANS) {
  test(`${what} stays in ${allowed.join(', ')}: ${why}`, (t) => {
    const files = sources().filter((file) => everywhere === true || isProduct(file))
    t.same(
      files.filter((file) => !isAllowed(file, allowed) && pattern.test(code(file))),
      [],
    )
    for (const path of allowed.filter((name) => !name.includes('*') && !PLANNED.includes(name)))
      t.ok(existsSync(join(PROJECT, path)), `${path} exists`)
    t.end()
  })
}

test('the scan has read the files', (t) => {
  t.ok(sources().length > 0)
  t.ok(sources().includes('cmd/podwire/main.ts'))
  t.ok(localImports('cmd/podwire/main.ts').some(({ to }) => to === 'cmd/podwire/registry.ts'))
  t.end()
})

interface Import {
  readonly from: string
  readonly to: string
}

/** TypeScript files of lib/ and cmd/, relative to the project. */
function sources(): string[] {
  return ['lib', 'cmd'].flatMap((root) =>
    readdirSync(join(PROJECT, root), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(root, name)),
  )
}

function isProduct(file: string): boolean {
  return !file.startsWith('lib/testing/') && !/\.(?:test|contract|fixture)\.ts$/.test(file)
}

/** Without comments, in which anything may be named. */
function code(file: string): string {
  const text = readFileSync(join(PROJECT, file), 'utf8')
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|\s\/\/ .*$/gm, '')
}

function localImports(file: string): Import[] {
  const specifiers = code(file).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g)
  return [...specifiers].map(([, path = '']) => ({
    from: file,
    to: relative(PROJECT, resolve(PROJECT, dirname(file), path)),
  }))
}

/** Static, dynamic or by require, of the package or of a path in it. */
function importing(name: string): RegExp {
  return new RegExp(`(?:\\bfrom|\\bimport|\\brequire)\\s*\\(?\\s*['"]${name}(?:/[^'"]*)?['"]`)
}

/** `cmd/podwire` */
function commandOf(file: string): string {
  return file.split('/', 2).join('/')
}

function folderOf(file: string): string {
  const [root = '', folder = ''] = file.split('/')
  return root === 'cmd' ? root : `${root}/${folder}`
}

function layerOf(file: string): number {
  return LAYERS.findIndex((folders) => folders.includes(folderOf(file)))
}

function isBeside(from: string, to: string): boolean {
  return layerOf(from) === layerOf(to) && folderOf(from) !== folderOf(to)
}

function isAllowed(file: string, allowed: readonly string[]): boolean {
  return allowed.some((entry) => {
    const [before = '', after] = entry.split('*')
    if (after === undefined) return file === entry || file.startsWith(`${entry}/`)
    return (
      file.startsWith(before) &&
      /^[^/]+$/.test(file.slice(before.length, -after.length)) &&
      file.endsWith(after)
    )
  })
}

function describe({ from, to }: Import): string {
  return `${from} imports ${to}`
}
