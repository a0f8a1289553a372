// The error object of the CNI spec (SPEC.md, section "Error") and its codes.

import type { SpecVersion } from './versions.ts'

/** Codes of the spec's table; 8 and 999 are the reference library's own. 100 and above belong to plugins. */
export const CNI_CODE = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidNetconf: 7,
  invalidNetns: 8,
  tryAgainLater: 11,
  pluginNotAvailable: 50,
  limitedConnectivity: 51,
  internal: 999,
} as const

/** What a caller of a plugin is told. `details` is for a person: causes and what to do about them; '' for none. */
export class CniError extends Error {
  readonly code: number
  readonly details: string

  constructor(code: number, message: string, options: { details?: string; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'CniError'
    this.code = code
    this.details = options.details ?? ''
  }
}

/** No directory of CNI_PATH has the plugin that is delegated to. */
export class DelegateMissing extends CniError {
  constructor(message: string, details: string) {
    super(CNI_CODE.internal, message, { details })
    this.name = 'DelegateMissing'
  }
}

/** Most causes that are looked at, those of an AggregateError included; also what ends a circle of causes. */
const MAX_CAUSES = 32

/**
 * The one place where errors of other layers become CNI errors.
 *
 * A foreign error is 999 unless it wraps a CniError, whose code then stands, as with Go's `errors.As`.
 * `details` tells the causes that the message does not already tell, and every `remedy` found on the way.
 */
export function toCniError(thrown: unknown): CniError {
  if (thrown instanceof CniError && (thrown.details !== '' || thrown.cause === undefined)) return thrown
  const chain = causesOf(thrown)
  const code = chain.find((error) => error instanceof CniError)?.code ?? CNI_CODE.internal
  const message = messageOf(thrown) || 'unknown error'
  return new CniError(code, message, { details: describeCauses(chain, message), cause: thrown })
}

/** The error object as text, indented as the reference library prints it. */
export function encodeError(error: CniError, cniVersion: SpecVersion): string {
  const { code, message: msg, details } = error
  return printJson({ cniVersion, code, msg, ...(details === '' ? {} : { details }) })
}

/** Four spaces, no newline at the end: what upstream's plugins write, results and errors alike. */
export function printJson(value: object): string {
  return JSON.stringify(value, null, 4)
}

/** Outermost first; the errors of an AggregateError follow it in their order. */
export function causesOf(thrown: unknown): unknown[] {
  const chain: unknown[] = []
  const queue = [thrown]
  while (queue.length > 0 && chain.length < MAX_CAUSES) {
    const error = queue.shift()
    if (error === undefined) continue
    chain.push(error)
    if (error instanceof AggregateError) queue.push(...error.errors)
    if (error instanceof Error) queue.push(error.cause)
  }
  return chain
}

function describeCauses(chain: readonly unknown[], message: string): string {
  const told = [message]
  const tell = (text: string) => {
    if (text !== '' && !told.some((earlier) => earlier.includes(text))) told.push(text)
  }
  for (const error of chain) {
    tell(messageOf(error))
    if (error instanceof CniError) tell(error.details)
  }
  for (const error of chain) tell(remedyOf(error))
  return told.slice(1).join('; ')
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

function remedyOf(thrown: unknown): string {
  if (!(thrown instanceof Error) || !('remedy' in thrown)) return ''
  return typeof thrown.remedy === 'string' ? thrown.remedy : ''
}
