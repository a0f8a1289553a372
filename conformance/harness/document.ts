// Documents whose commands are run, as a reader would type them, in order, in one shell: what the document shows of
// their output is compared with what they print.
//
//   ```sh                 is run, and must end with 0; after ```sh fails, with anything else
//   ```text               right after it: what it prints, stdout and stderr; a line … stands for any number of lines
//   ```sh not-run         is for the reader's own node
//   <!-- run … -->        is run, and not shown; it may fail
//
// What differs from run to run (see VARYING) is not compared. CONFORMANCE_UPDATE=1 writes what was printed into the
// document, where it differs.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { text as readText } from 'node:stream/consumers'

/** All of a document takes seconds; a command that is still there then hangs. */
const DEADLINE_MS = 240_000

export const PROJECT = resolve(import.meta.dirname, '../..')

/** Where documents say that it is. */
const READER = '/root/podwire'

export interface Step {
  /** Of the script's first line, in the document. */
  readonly line: number
  readonly script: string
  /** Undefined: either way is fine. */
  readonly mayFail: boolean | undefined
  readonly shown?: Shown
}

interface Shown {
  readonly text: string
  /** Line numbers in the document, the fences not included: from, until. */
  readonly from: number
  readonly until: number
}

export interface Played {
  readonly step: Step
  readonly status: number
  readonly printed: string
}

/** Reader's shell: its network, mounts and processes are its own, and end with it. */
const ENTER = [
  'unshare',
  '--net',
  '--mount',
  '--propagation',
  'private',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
]

export function parseSteps(markdown: string): Step[] {
  const lines = markdown.split('\n')
  const steps: Step[] = []
  for (let at = 0; at < lines.length; at++) {
    const hidden = lines[at] === '<!-- run'
    const [, fence] = /^```sh( fails)?$/.exec(lines[at] ?? '') ?? []
    if (!hidden && !/^```sh( fails)?$/.test(lines[at] ?? '')) continue
    const end = lines.indexOf(hidden ? '-->' : '```', at + 1)
    if (end < 0) throw new Error(`line ${at + 1}: a block without an end`)
    const shown = findShown(lines, end + 1)
    const script = lines.slice(at + 1, end).join('\n')
    steps.push({
      line: at + 2,
      script,
      mayFail: hidden ? undefined : fence !== undefined,
      ...(shown === undefined ? {} : { shown }),
    })
    at = end
  }
  return steps
}

function findShown(lines: readonly string[], after: number): Shown | undefined {
  const at = lines[after] === '' ? after + 1 : after
  if (lines[at] !== '```text') return undefined
  const until = lines.indexOf('```', at + 1)
  return { text: lines.slice(at + 1, until).join('\n'), from: at + 1, until }
}

/** Runs all of them in one shell. It goes on after a step that fails, as a reader would. */
export async function playSteps(steps: readonly Step[]): Promise<Played[]> {
  const directory = mkdtempSync(join(tmpdir(), 'pw-doc-'))
  try {
    const all = steps.map((step, i) => {
      writeFileSync(join(directory, `${i}.sh`), `${step.script}\n`)
      const output = join(directory, `${i}.out`)
      return `. ${directory}/${i}.sh </dev/null >${output} 2>&1; echo $? >${directory}/${i}.status\n`
    })
    const trouble = await runShell(all.join(''))
    if (trouble !== undefined) {
      const last = steps.findLast((_, i) => existsSync(join(directory, `${i}.out`)))
      throw new Error(`${trouble}, in the block at line ${last?.line}:\n${last?.script}`)
    }
    return steps.map((step, i) => ({
      step,
      status: Number(readFileSync(join(directory, `${i}.status`), 'utf8')),
      printed: readFileSync(join(directory, `${i}.out`), 'utf8').trimEnd(),
    }))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** @returns what was wrong */
async function runShell(script: string): Promise<string | undefined> {
  const { PATH = '' } = process.env
  const [program = '', ...args] = [...ENTER, 'bash', '-s']
  const child = spawn(program, args, {
    cwd: PROJECT,
    env: { PATH: `${PATH}:/usr/sbin:/sbin`, HOME: '/root', LC_ALL: 'C.UTF-8' },
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  child.stdin.on('error', () => undefined) // said by the status
  child.stdin.end(script)
  const said = readText(child.stderr)
  const status = await new Promise((done, fail) => {
    child.on('error', fail)
    child.on('close', done)
  })
  return status === 0 ? undefined : `the shell ended with ${status}: ${await said}`
}

/** What is never the same twice, with what stands for it. */
const VARYING: readonly (readonly [RegExp, string])[] = [
  [/\b(?!02:00:|0a:58:|00:00:00|ff:ff)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, 'MAC'],
  [/\bfe80::[0-9a-f:]+/g, 'fe80::N'],
  [/@if\d+/g, ''],
  [/\b(?:REACHABLE|DELAY|STALE|PROBE)\b/g, 'REACHABLE'],
  [/\bLOWERLAYERDOWN\b/g, 'DOWN'],
  [/\bicmp +1 \d+/g, 'icmp'],
  [/\S+\/dist\/bin\//g, 'dist/bin/'],
  [/^\d+: /gm, 'N: '],
  [/\bveth[0-9a-f]{8}\b/g, 'vethN'],
  [/\bnet:\[\d+\]/g, 'net:[N]'],
  [/\b(?:time|rtt min\/avg\/max\/mdev =)[= ]?[\d./]+ ?ms/g, 'time'],
  [/\b(sport|dport|id)=\d+/g, '$1=N'],
  [/\b\d+(?:\.\d+)? ?(?:ms|s|µs|MiB)\b/g, 'AGE'],
  [/\bpid( |":)\d+/g, 'pid N'],
  [/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/"durationMs":[\d.]+/g, '"durationMs":N'],
  // How busy the machine is, which may be not at all.
  [/^Event loop .*\n/gm, ''],
  [/ long(?= +\d+\.\d$)/gm, ' AGE'],
  [/(?<![\d.])\d+\.\d+(?![\d.])/g, 'N'],
  [/ +/g, ' '],
  [/ $/gm, ''],
]

export function mask(output: string): string {
  return VARYING.reduce((masked, [pattern, name]) => masked.replaceAll(pattern, name), output)
}

/** Whether it is what is shown, but for what varies. */
export function isAsShown(shown: string, printed: string): boolean {
  const parts = mask(shown)
    .split(/^…$/m)
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
  return new RegExp(`^${parts.join('[^]*')}$`).test(mask(printed))
}

/** The document with what was printed, where that is not what it shows. */
export function withPrinted(markdown: string, played: readonly Played[]): string {
  const lines = markdown.split('\n')
  for (const { step, printed } of played.toReversed()) {
    if (step.shown === undefined || isAsShown(step.shown.text, printed)) continue
    lines.splice(
      step.shown.from,
      step.shown.until - step.shown.from,
      ...printed
        .replaceAll(PROJECT, READER)
        .split('\n')
        .map((line) => line.trimEnd()),
    )
  }
  return lines.join('\n')
}

export interface CodeLink {
  readonly name: string
  readonly path: string
}

/** ``[`planAttachment`](../cmd/cni-bridge/plan.ts)``: that file has something of that name. */
export function listCodeLinks(markdown: string, document: string): CodeLink[] {
  return [...markdown.matchAll(/\[`([^`]+)`\]\(([^)#]+\.(?:ts|c))\)/g)].map(([, name = '', path = '']) => ({
    name,
    path: join(dirname(document), path),
  }))
}

/** Paths, from the project's root, of what it links to here. */
export function listLocalLinks(markdown: string, document: string): string[] {
  return [...markdown.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path = '']) =>
    join(dirname(document), path),
  )
}
