// Build steps that are skipped while their inputs stay the same.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

export interface Step {
  /** Shown while it runs, and the name of its stamp. */
  readonly name: string
  /** Everything that the output depends on: contents, versions, options. */
  readonly inputs: readonly (string | Uint8Array)[]
  readonly output: string
}

/**
 * Runs `work` unless the output exists and was made from the same inputs.
 *
 * @param stamps  directory in which the hash of the inputs is remembered
 */
export async function runStep(stamps: string, step: Step, work: () => void | Promise<void>): Promise<void> {
  const stamp = join(stamps, `${basename(step.output)}.stamp`)
  const hash = contentHash(...step.inputs)
  if (existsSync(step.output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  console.log(step.name)
  await work()
  mkdirSync(stamps, { recursive: true })
  writeFileSync(stamp, hash)
}

/** SHA-256 of the parts, each with its length, in hex. */
export function contentHash(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length}:`).update(part)
  return hash.digest('hex')
}

/** Stands for the content of a file that is too large to be read each time. */
export function fileIdentity(path: string): string {
  const { size, mtimeMs } = statSync(path)
  return `${path} ${size} ${mtimeMs}`
}
