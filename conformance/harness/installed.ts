// Ours under upstream's names, as `podwire install --upstream-names` puts them on a node; once per process.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { podwire } from './contestant.ts'

let installed: string | undefined

/** @returns the directory with `bridge` and `host-local` of ours */
export function installUnderUpstreamsNames(): string {
  if (installed !== undefined) return installed
  const directory = mkdtempSync(join(tmpdir(), 'pw-conformance-bin-'))
  process.on('exit', () => rmSync(directory, { recursive: true }))
  execFileSync(join(podwire.directory, 'podwire'), ['install', directory, '--upstream-names'])
  installed = directory
  return directory
}
