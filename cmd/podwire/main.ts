// The executable of all names: what it does goes by the name that it was called by (links and copies alike).
// Start-up is a budget: everything else is loaded when it is known to be needed (in the executable start.ts is first).

import { basename } from 'node:path'

import type { Plugin } from '../../lib/cni/plugin.ts'
import type { Outcome } from '../../lib/cni/skel.ts'
import type { Ports } from '../../lib/host/ports.ts'
import type { Log } from '../../lib/log/log.ts'
import { findNative } from '../../lib/native/native.ts'
import type { DaemonOptions } from './command.ts'
import { findPlugin, PLUGIN_NAMES, PLUGINS, UPSTREAM_NAMES } from './registry.ts'
import { readAll, writeAll } from './stdio.ts'
import { version } from './version.ts'

async function main(): Promise<number> {
  const name = basename(process.argv0)
  const plugin = findPlugin(name)
  if (plugin === undefined || isDaemonCommand()) return runCommand(name)
  const { invoke } = await import('../../lib/cni/skel.ts')
  const log = await openLog()
  const call = { environment: process.env, readStdin: () => readAll(0) }
  const outcome = await invoke(plugin, () => openPorts(log, { plugin }), call, { version, name })
  logOutcome(log, name, outcome)
  await writeAll(2, outcome.stderr)
  const delivered = await writeAll(1, outcome.stdout)
  return delivered ? outcome.exitStatus : 1
}

/** `ipam-host-local daemon`, as upstream's `dhcp daemon`: a runtime passes no words. */
function isDaemonCommand(): boolean {
  return process.argv[2] === 'daemon'
}

/** Only called when a verb really runs: VERSION and bad input open nothing. */
async function openPorts(
  log: Log | undefined,
  { plugin, onlyLooks = false }: { plugin?: Plugin<Ports>; onlyLooks?: boolean } = {},
): Promise<Ports> {
  const { openPorts: open } = await import('../../lib/host/open-ports.ts')
  return open({
    environment: process.env,
    executable: process.execPath,
    findPlugin,
    log,
    emptyStores: onlyLooks ? (await import('./empty-stores.ts')).EMPTY_STORES : undefined,
    // One that keeps nothing has nothing to lock.
    ...(plugin?.findGarbage && { servedPlugin: plugin.name }),
  })
}

/** A log that cannot be written must not keep a pod from its network. */
async function openLog(): Promise<Log | undefined> {
  if (!process.env['PODWIRE_LOG']) return undefined
  const { openLog: open } = await import('../../lib/log/open-log.ts')
  try {
    return await open(process.env)
  } catch (error) {
    await writeAll(2, `podwire: no log is written: ${error instanceof Error ? error.message : error}\n`)
    return undefined
  }
}

function logOutcome(log: Log | undefined, plugin: string, { exitStatus, stdout }: Outcome): void {
  if (log === undefined) return // to ask for the time loads modules of Node.js, a thirtieth of the call
  const fields = { plugin, exitStatus, durationMs: Math.round(performance.now()) }
  if (exitStatus === 0) log.info(fields, 'done')
  else log.error({ ...fields, answer: stdout }, 'refused')
}

/** What a person calls: `podwire <command>`. */
async function runCommand(name: string): Promise<number> {
  if (process.env['CNI_COMMAND'] !== undefined) {
    const names = [...PLUGIN_NAMES, ...Object.keys(UPSTREAM_NAMES)]
    await writeAll(2, `no plugin is called "${name}"; there are ${names.join(', ')}\n`)
    return 2
  }
  const { run } = await import('./commands.ts')
  const outcome = await run(process.argv.slice(2), {
    version,
    executable: process.execPath,
    plugins: PLUGINS,
    upstreamNames: UPSTREAM_NAMES,
    openPorts: (purpose) => openPorts(undefined, purpose),
    runDaemon,
    environment: process.env,
    isTerminal: process.stdout.isTTY === true,
    columns: process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY,
    progress: showProgress,
  })
  showProgress('')
  await writeAll(2, outcome.stderr)
  await writeAll(1, outcome.stdout)
  return outcome.exitStatus
}

const PATIENCE_MS = 1000

let progressText = ''
let isTimed = false

/** Of what takes longer, in a line of a terminal that is written over again and again. */
function showProgress(text: string): void {
  if (!process.stderr.isTTY) return
  progressText = text
  const restMs = PATIENCE_MS - performance.now()
  if (restMs <= 0) writeProgress()
  else if (!isTimed) setTimeout(writeProgress, restMs).unref()
  isTimed = true
}

function writeProgress(): void {
  process.stderr.write(`\r\u001b[K${progressText}`)
}

async function runDaemon(given: DaemonOptions): Promise<void> {
  const { askForThreads, runDaemon: run } = await import('./daemon.ts')
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve)
  })
  await run({
    ...given,
    environment: process.env,
    deletionThreads: askForThreads(process.env),
    executable: process.execPath,
    version,
    plugins: PLUGINS,
    findPlugin,
    stopped,
    print: (line) => void writeAll(1, `${line}\n`),
  })
}

main().then(
  // Node.js would take leave of its threads first; all that we wrote is written.
  (status) => findNative()?.exit(status) ?? process.exit(status),
  (error: unknown) => {
    // The skeleton answers every failure of a plugin; what comes here is a failure of Podwire itself.
    console.error(error)
    process.exit(1)
  },
)
