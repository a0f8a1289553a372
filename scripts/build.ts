// `npm run build`: dist/bin/podwire and its links. `--check-deps` only compares deps.txt with the bundle.
//
// Runs on the Node.js of node_modules (npm puts node_modules/.bin first), whatever the machine has.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { PAGE_ASSET } from '../cmd/podwire/page/page-files.ts'
import { PLUGIN_NAMES } from '../cmd/podwire/registry.ts'
import {
  bundlePacks,
  bundleStart,
  compile,
  describeDependencies,
  type PackList,
  type Packs,
} from './bundle.ts'
import { bundlePage } from './page.ts'
import { buildExecutable, HEAP_FLAGS, NODE_PACKAGE } from './sea.ts'
import { contentHash, runStep } from './step.ts'

const WORK = 'dist/work'
const ADDON = 'dist/native/podwire.node'
const NETLINK_ADDON = `node_modules/netlink/prebuilds/linux-${process.arch}/node.napi.node`
const DEPENDENCIES = 'deps.txt'
const EXECUTABLE = 'dist/bin/podwire'
const SHIM = 'dist/bin/podwire-shim'
/** musl: a static executable of it needs nothing on the node, starts in half a millisecond, and has 12 KB. */
const SHIM_COMPILER = 'musl-gcc'
const SHIM_FLAGS = [
  '-std=gnu11',
  '-Os',
  '-Wall',
  '-Wextra',
  '-static',
  '-s',
  '-Wl,-z,noseparate-code,-z,norelro',
]
const COMPILER = 'gcc'
const COMPILER_FLAGS = [
  '-std=gnu11',
  '-O2',
  '-Wall',
  '-Wextra',
  '-Wno-unused-parameter',
  '-shared',
  '-fPIC',
  '-s',
]

async function main(): Promise<void> {
  process.chdir(dirname(import.meta.dirname))
  if (process.argv.includes('--check-deps')) return checkDependencies()
  requireTools()
  await buildShim()
  await buildAddon() // first: the tests need it, even when the rest does not build
  const { packs, modules, metafiles } = await bundleProduct()
  const page = await bundlePage()
  writeFileSync(DEPENDENCIES, describeDependencies([...metafiles, page.metafile]))
  const start = await bundleStart('cmd/podwire/start.ts', modules)
  const assets = { ...addonAssets(), ...(await compilePacks(packs)), ...writePage(page.asset) }
  const aligned = Object.keys(assets).filter((key) => key.endsWith('.cache'))
  await buildExecutable(WORK, { output: EXECUTABLE, script: start, assets, aligned })
  for (const name of PLUGIN_NAMES) link(name)
}

/** @throws Error with what to do, instead of what gcc's absence would say */
function requireTools(): void {
  for (const [tool, apt] of [
    [COMPILER, 'gcc libc6-dev'],
    [SHIM_COMPILER, 'musl-tools'],
    ['strip', 'binutils'],
  ] as const) {
    try {
      execFileSync(tool, ['--version'], { stdio: 'ignore' })
    } catch (cause) {
      throw new Error(`"${tool}" is not there; on Debian: apt-get install ${apt}`, { cause })
    }
  }
}

/** A call's start is a budget: what an ADD or DEL of the usual plugins needs is read, and nothing else. */
const PACKS: PackList = [
  ['native', /^lib\/native\//], // start.ts needs it before all others
  ['version', /^lib\/cni\/skel\.ts$|^cmd\/podwire\/(registry|stdio|version)\.ts$/], // and nothing else for VERSION
  [
    'attach',
    /^cmd\/podwire\/main\.ts$|^lib\/host\/open-ports\.ts$|^cmd\/cni-bridge\/(add|del)\.ts$|^cmd\/ipam-host-local\/verbs\.ts$/,
  ],
  ['masquerade', /^lib\/nftables\/(nft-socket|podwire-table)\.ts$|^lib\/conntrack\//],
  ['bridge', /^cmd\/(cni-bridge|ipam-host-local)\/(?!reference)/],
  ['loopback', /^cmd\/cni-loopback\/(?!reference)/], // containerd calls it for every pod
  ['plugins', /^cmd\/(cni|ipam)-[^/]*\/(?!reference)/],
  ['podwire', /^(?!cmd\/podwire\/page\/)/],
  ['page', /./], // only read by a daemon that shows it
]

function bundleProduct(): Promise<Packs> {
  return bundlePacks('cmd/podwire/main.ts', productVersion(), PACKS)
}

function productVersion(): string {
  return (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version
}

/** @returns assets under the names that cmd/podwire/start.ts knows */
async function compilePacks(packs: Packs['packs']): Promise<Record<string, string>> {
  mkdirSync(WORK, { recursive: true })
  const assets: Record<string, string> = {}
  for (const [pack, code] of Object.entries(packs)) {
    const [scriptFile, cacheFile] = [join(WORK, `${pack}.cjs`), join(WORK, `${pack}.cache`)]
    // V8 makes other bytes each time.
    const inputs = [code, String(compile), process.version, ...HEAP_FLAGS]
    await runStep(WORK, { name: `compile ${pack}.cjs`, inputs, output: cacheFile }, () => {
      const { script, cache } = compile(code, `${pack}.cjs`)
      writeFileSync(scriptFile, script)
      writeFileSync(cacheFile, cache)
    })
    assets[`${pack}.cjs`] = scriptFile
    assets[`${pack}.cache`] = cacheFile
  }
  return assets
}

/** Under the name that cmd/podwire/page/page-files.ts knows. */
function writePage(asset: string): Record<string, string> {
  const file = join(WORK, PAGE_ASSET)
  writeFileSync(file, asset)
  return { [PAGE_ASSET]: file }
}

async function checkDependencies(): Promise<void> {
  const metafiles = [...(await bundleProduct()).metafiles, (await bundlePage()).metafile]
  const expected = describeDependencies(metafiles)
  if (readFileSync(DEPENDENCIES, 'utf8') === expected) return
  throw new Error(`${DEPENDENCIES} is not what the bundle holds; see what \`npm run build\` changes in it`)
}

async function buildAddon(): Promise<void> {
  const sources = ['native/addon.c', 'native/clients.c', 'native/conversations.c']
  const headers = join(NODE_PACKAGE, 'include/node')
  const files = [...sources, 'native/addon.h', join(headers, 'node_version.h')]
  const inputs = [...files.map((file) => readFileSync(file)), ...COMPILER_FLAGS]
  await runStep(WORK, { name: `build ${ADDON}`, inputs, output: ADDON }, () => {
    mkdirSync(dirname(ADDON), { recursive: true })
    execFileSync(COMPILER, [...COMPILER_FLAGS, '-I', headers, '-o', `${ADDON}.new`, ...sources], {
      stdio: 'inherit',
    })
    renameSync(`${ADDON}.new`, ADDON)
  })
}

async function buildShim(): Promise<void> {
  const source = 'native/shim.c'
  const inputs = [readFileSync(source), ...SHIM_FLAGS]
  await runStep(WORK, { name: `build ${SHIM}`, inputs, output: SHIM }, () => {
    mkdirSync(dirname(SHIM), { recursive: true })
    execFileSync(SHIM_COMPILER, [...SHIM_FLAGS, '-o', `${SHIM}.new`, source], { stdio: 'inherit' })
    renameSync(`${SHIM}.new`, SHIM)
  })
}

/** Keys carry the hash, so that the executable need not compute it. */
function addonAssets(): Record<string, string> {
  const key = (name: string, file: string) => `${name}-${contentHash(readFileSync(file)).slice(0, 16)}.node`
  return { [key('podwire', ADDON)]: ADDON, [key('netlink', NETLINK_ADDON)]: NETLINK_ADDON }
}

function link(name: string): void {
  const path = join(dirname(EXECUTABLE), name)
  symlinkSync(basename(EXECUTABLE), `${path}.${process.pid}`)
  renameSync(`${path}.${process.pid}`, path)
}

await main().catch((error: Error) => {
  console.error(`build: ${error.message}`)
  process.exitCode = 1
})
