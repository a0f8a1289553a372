// Runs the test files with tap and shows a line for each, every failure in full and the reason of every skip.
// The last line is `N passed, N failed`.
//
//   node scripts/run-tests.ts [--failed-before NAME]… [test file…]
//
// A test is a test point at the top of a file: one `test('subject does X when Y', …)`, however many assertions it
// makes. A file that fails without a failed test (it crashed, it held no tests) counts as one failure.

import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Parser, type Result } from 'tap-parser'

interface Tally {
  passed: number
  readonly failed: string[]
  readonly skipped: string[]
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'failed-before': { type: 'string', multiple: true, default: [] } },
  })
  const tally: Tally = { passed: 0, failed: [...values['failed-before']], skipped: [] }
  const before = new Set(listOwnFiles())
  const status = await runTap(positionals, tally)
  const left = listOwnFiles().filter((file) => !before.has(file))
  if (left.length > 0) tally.failed.push(`tests have written to the machine itself: ${left.join(', ')}`)
  if (tally.passed === 0 && tally.failed.length === 0) tally.failed.push('no test ran')
  if (status !== 0 && tally.failed.length === 0) tally.failed.push(`tap ended with exit status ${status}`)
  summarize(tally)
  process.exitCode = tally.failed.length === 0 ? 0 : 1
}

/** Where Podwire keeps its state when nobody names a place: each test names one. */
const DEFAULT_PLACES = ['/run/podwire', '/var/lib/cni/networks', '/var/lib/podwire']

function listOwnFiles(): string[] {
  return DEFAULT_PLACES.filter((place) => existsSync(place)).flatMap((place) => [
    place,
    ...readdirSync(place).map((name) => `${place}/${name}`),
  ])
}

/** @returns the exit status of tap */
async function runTap(files: readonly string[], tally: Tally): Promise<number | null> {
  const tap = spawn('tap', ['run', '--reporter=tap', ...files], { stdio: ['ignore', 'pipe', 'inherit'] })
  const parser = new Parser()
  parser.on('child', (file: Parser) => watchFile(file, tally))
  parser.on('assert', (result: Result) => reportFile(result, tally))
  tap.stdout.pipe(parser)
  const ended = new Promise((resolve) => parser.on('complete', resolve))
  const status = await new Promise<number | null>((resolve, reject) => {
    tap.on('error', reject)
    tap.on('close', resolve)
  })
  await ended
  return status
}

/** Failed tests of each file; a file's own result comes after those of its tests. */
const failuresOf = new Map<string, string[]>()

function watchFile(file: Parser, tally: Tally): void {
  const failures: string[] = []
  failuresOf.set(file.name, failures)
  file.on('child', (test: Parser) => watchNested(test, file.name, tally))
  file.on('assert', (result: Result) => {
    const name = `${file.name}: ${result.name}`
    if (result.skip !== false) tally.skipped.push(`${name}${reasonOf(result.skip)}`)
    else if (result.ok || result.todo !== false) tally.passed++
    else {
      failures.push(name)
      printFailure(name, result)
    }
  })
}

/** Within a test nothing is counted, but what is skipped is told, and which assertion failed. */
function watchNested(test: Parser, path: string, tally: Tally): void {
  const name = `${path}: ${test.name}`
  test.on('child', (nested: Parser) => watchNested(nested, name, tally))
  test.on('assert', (result: Result) => {
    if (result.skip !== false) tally.skipped.push(`${name}: ${result.name}${reasonOf(result.skip)}`)
    else if (!result.ok && result.todo === false) printFailure(`${name}: ${result.name}`, result)
  })
}

function reportFile(result: Result, tally: Tally): void {
  const failures = failuresOf.get(result.name) ?? []
  if (result.name === 'timeout!') return // tap's own remark on a file that it also reports
  if (!result.ok && failures.length === 0) {
    failures.push(result.name)
    printFailure(result.name, result)
  }
  tally.failed.push(...failures)
  console.log(
    `${failures.length === 0 ? 'ok' : 'not ok'}  ${result.name}  ${Math.round(result.time ?? 0)} ms`,
  )
}

/** Names of what has been shown in full. */
const printed = new Set<string>()

/** Once: a failed assertion fails all the tests around it, and they have nothing to add. */
function printFailure(name: string, { diag }: Result): void {
  if ([...printed].some((inner) => inner.startsWith(`${name}: `))) return
  printed.add(name)
  console.log(`not ok ${name}`)
  for (const [key, value] of Object.entries(diag ?? {})) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    if (key !== 'at' && key !== 'args')
      console.log(`    ${key}: ${text.trimEnd().replaceAll('\n', '\n      ')}`)
  }
}

function reasonOf(skip: string | boolean): string {
  return typeof skip === 'string' ? ` (${skip})` : ''
}

function summarize({ passed, failed, skipped }: Tally): void {
  console.log('')
  for (const name of skipped) console.log(`skipped: ${name}`)
  for (const name of failed) console.log(`failed: ${name}`)
  console.log(`${passed} passed, ${failed.length} failed`)
}

await main()
