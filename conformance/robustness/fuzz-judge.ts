// What must hold of every answer, whatever was asked.

import { VERSIONS } from './fuzz-seeds.ts'

export interface Answer {
  readonly exitStatus: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A stack, or a mistake of our own that JavaScript speaks of: none is an answer for a runtime. */
const SLIP =
  /^\s+at .|\bat .+:\d+:\d+|Cannot read|is not a function|is not iterable|Maximum call stack|\[object |\bundefined\b/m

/** @returns what is wrong with the answer; empty when nothing is */
export function judgeAnswer(command: string | undefined, { exitStatus, stdout, stderr }: Answer): string[] {
  const faults: string[] = []
  if (stderr !== '' && SLIP.test(stderr)) faults.push(`stderr: ${stderr}`)
  const json = stdout === '' ? undefined : parse(stdout)
  if (stdout !== '' && !isRecord(json)) faults.push('stdout is not one JSON object')
  if (exitStatus === 1) faults.push(...judgeError(json, stdout))
  else if (exitStatus !== 0) faults.push(`exit status ${exitStatus}`)
  else if (['DEL', 'CHECK', 'GC', 'STATUS'].includes(command ?? '') && stdout !== '')
    faults.push('stdout is not empty')
  else if (command === 'ADD' && !isVersion(json)) faults.push('a result without a version')
  return faults
}

/** Of an error object; undefined when it is none. */
export function codeOf(stdout: string): unknown {
  const json = parse(stdout)
  return isRecord(json) ? json['code'] : undefined
}

function judgeError(json: unknown, stdout: string): string[] {
  if (!isRecord(json)) return ['no error object on stdout']
  const { code, msg, details = '', ...rest } = json
  const { cniVersion: _, ...unknown } = rest
  return [
    ...(isVersion(json) ? [] : ['an error of no known version']),
    ...(Number.isInteger(code) && Number(code) >= 1 ? [] : [`code ${JSON.stringify(code)}`]),
    ...(typeof msg === 'string' && msg !== '' ? [] : [`msg ${JSON.stringify(msg)}`]),
    ...(typeof details === 'string' ? [] : [`details ${JSON.stringify(details)}`]),
    ...(Object.keys(unknown).length === 0 ? [] : [`more keys: ${Object.keys(unknown)}`]),
    ...(SLIP.test(`${msg}\n${details}`) ? [`a slip: ${stdout}`] : []),
  ]
}

function isVersion(json: unknown): boolean {
  return isRecord(json) && VERSIONS.some((version) => version === json['cniVersion'])
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
