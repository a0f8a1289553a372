// What an IPAM ADD and DEL cost with many leases held: ours beside upstream's host-local, and ours without the start of
// a process, as the daemon runs it. All in turn, so that the machine's moods meet all of them.
//
//   node bench/ipam.ts [--runs N] [--enforce]     --enforce: exit status 1 when ours is not flat

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'

import { plugin } from '../cmd/ipam-host-local/plugin.ts'
import { invoke } from '../lib/cni/skel.ts'
import type { Ports } from '../lib/host/ports.ts'
import { IpAddress } from '../lib/ip/address.ts'
import { allocate } from '../lib/ipam/allocator.ts'
import { SqliteLeaseStore } from '../lib/ipam/lease-store-sqlite.ts'
import { parseRangeSets } from '../lib/ipam/range-set.ts'
import { bootId } from '../lib/state/boot.ts'

const HELD = [0, 1_000, 10_000, 50_000]
/** A DEL or ADD with any number of leases held, over one with none. */
const GOAL = 1.5
const OURS = 'dist/bin/ipam-host-local'
const UPSTREAM = '/usr/lib/cni/host-local'
const SUBNET = '10.0.0.0/8'
const NETWORK = 'bench'

type Verb = 'ADD' | 'DEL'

/** One way to run one plugin on a store that was filled before. */
interface Subject {
  readonly label: string
  readonly held: number
  readonly call: (verb: Verb, containerId: string) => Promise<void>
  readonly timesMs: Record<Verb, number[]>
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { runs: { type: 'string' }, enforce: { type: 'boolean' } } })
  process.chdir(dirname(import.meta.dirname))
  if (!existsSync(OURS)) throw new Error(`"${OURS}" is not there: npm run build`)
  const directory = mkdtempSync(join(tmpdir(), 'pw-bench-ipam-'))
  try {
    const subjects = HELD.flatMap((held) => [
      ours(held, directory),
      oursInProcess(held, directory),
      ...(existsSync(UPSTREAM) ? [upstream(held, directory)] : []),
    ])
    await measure(subjects, Number(values.runs ?? 40))
    const flat = printTable(subjects)
    if (values.enforce === true && !flat) process.exitCode = 1
  } finally {
    rmSync(directory, { recursive: true })
  }
}

async function measure(subjects: readonly Subject[], runs: number): Promise<void> {
  for (let run = -3; run < runs; run++) {
    for (const { call, timesMs } of subjects) {
      for (const verb of ['ADD', 'DEL'] as const) {
        const start = performance.now()
        await call(verb, `bench${run}`)
        if (run >= 0) timesMs[verb].push(performance.now() - start) // the first ones fill caches
      }
    }
  }
}

/** @returns whether ours is flat */
function printTable(subjects: readonly Subject[]): boolean {
  let flat = true
  console.log(
    `${'medians, ms'.padEnd(24)}${'held'.padStart(8)}${'ADD'.padStart(9)}${'DEL'.padStart(9)}   to empty`,
  )
  for (const label of new Set(subjects.map((subject) => subject.label))) {
    const rows = subjects.filter((subject) => subject.label === label)
    const [empty] = rows
    for (const { held, timesMs } of rows) {
      const add = median(timesMs.ADD)
      const del = median(timesMs.DEL)
      const ratios = [add / median(empty?.timesMs.ADD ?? []), del / median(empty?.timesMs.DEL ?? [])]
      if (label.startsWith('ours') && ratios.some((ratio) => ratio > GOAL)) flat = false
      const cells = [held, add.toFixed(2), del.toFixed(2)].map((cell, at) =>
        String(cell).padStart(at ? 9 : 8),
      )
      console.log(
        `${label.padEnd(24)}${cells.join('')}   ${ratios.map((ratio) => ratio.toFixed(2)).join(' / ')}`,
      )
    }
  }
  console.log(`ours is ${flat ? '' : 'not '}within ${GOAL} of empty`)
  return flat
}

function ours(held: number, directory: string): Subject {
  const dataDir = fillOurs(join(directory, `ours-${held}`), held)
  return { ...subject('ours', held), call: byExec(OURS, config('ipam-host-local', dataDir)) }
}

/** The same plugin and the same store, in this process. */
function oursInProcess(held: number, directory: string): Subject {
  const dataDir = fillOurs(join(directory, `ours-in-process-${held}`), held)
  const store = openStore(dataDir)
  const ports = {
    leases: () => store,
    clock: { nowMs: () => Date.now() },
    files: { find: () => undefined },
  } as unknown as Ports // an IPAM call touches nothing else
  const stdin = config('ipam-host-local', dataDir)
  return {
    ...subject('ours, in process', held),
    call: async (verb, containerId) => {
      const invocation = { environment: variables(verb, containerId), readStdin: () => stdin }
      const { exitStatus, stdout } = await invoke(plugin, ports, invocation, { version: 'bench' })
      if (exitStatus !== 0) throw new Error(`${verb}: ${stdout}`)
    },
  }
}

function upstream(held: number, directory: string): Subject {
  const dataDir = join(directory, `upstream-${held}`)
  const network = join(dataDir, NETWORK)
  mkdirSync(network, { recursive: true })
  for (let nth = 0; nth < held; nth++) writeFileSync(join(network, addressOf(nth)), `held${nth}\r\neth0`)
  if (held > 0) writeFileSync(join(network, 'last_reserved_ip.0'), addressOf(held - 1))
  return { ...subject("upstream's host-local", held), call: byExec(UPSTREAM, config('host-local', dataDir)) }
}

function subject(label: string, held: number): Omit<Subject, 'call'> {
  return { label, held, timesMs: { ADD: [], DEL: [] } }
}

function byExec(program: string, input: string): Subject['call'] {
  return async (verb, containerId) => {
    const { status, stdout, stderr } = spawnSync(program, {
      env: variables(verb, containerId),
      input,
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`"${program}" ${verb}: exit status ${status}: ${stdout}${stderr}`)
  }
}

function variables(verb: Verb, containerId: string): Record<string, string> {
  return {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: '/var/run/netns/none',
    CNI_IFNAME: 'eth0',
    CNI_PATH: dirname(UPSTREAM),
  }
}

function config(type: string, dataDir: string): string {
  const ipam = { type, dataDir, ranges: [[{ subnet: SUBNET }]] }
  return JSON.stringify({ cniVersion: '1.0.0', name: NETWORK, type: 'bridge', ipam })
}

/** As many ADDs of other pods, in one transaction. @returns the directory */
function fillOurs(dataDir: string, held: number): string {
  const store = openStore(dataDir)
  const sets = parseRangeSets({ ranges: [[{ subnet: SUBNET }]] })
  store.transaction((tx) => {
    for (let nth = 0; nth < held; nth++) {
      allocate(tx, { network: NETWORK, containerId: `held${nth}`, ifname: 'eth0', sets, nowMs: Date.now() })
    }
  })
  store.close()
  return dataDir
}

function openStore(dataDir: string): SqliteLeaseStore {
  const boot = bootId((path) => readFileSync(path, 'utf8'))
  return SqliteLeaseStore.open(join(dataDir, 'podwire-leases.db'), { bootId: boot })
}

/** 10.0.0.2 is the first that is handed out. */
function addressOf(nth: number): string {
  return String(IpAddress.parse('10.0.0.2').plus(BigInt(nth)))
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

await main()
