// Ours as `podwire install` puts them on a node, in directories that end with the process.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { podwire } from './contestant.ts'

let installed: string | undefined

/** @returns a directory with ours, made anew */
export function install(...flags: readonly string[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'pw-conformance-bin-'))
  process.on('exit', () => rmSync(directory, { recursive: true }))
  execFileSync(join(podwire.directory, 'podwire'), ['install', directory, ...flags])
  return directory
}

/** @returns the directory with `bridge` and `host-local` of ours, once per process */
export function installUnderUpstreamsNames(): string {
  installed ??= install('--upstream-names')
  return installed
}
