// What the kernel answers when it refuses: an errno and, with extended acknowledgements (Linux 4.12), a text and
// the place in our request that it is about.

import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'

/**
 * Names that libuv does not have: the kernel's own errors, which never reach a C library (linux/errno.h), and
 * 95, which libuv calls by its second name, with a text about sockets.
 */
const KERNEL_NAMES: Readonly<Record<number, readonly [string, string]>> = {
  95: ['EOPNOTSUPP', 'operation not supported'],
  524: ['ENOTSUPP', 'operation is not supported'],
}

let systemErrors: Map<number, [string, string]> | undefined

export function errnoName(errno: number): string {
  return describeErrno(errno)[0]
}

function describeErrno(errno: number): readonly [name: string, text: string] {
  systemErrors ??= getSystemErrorMap()
  return KERNEL_NAMES[errno] ?? systemErrors.get(-errno) ?? [findName(errno) ?? `E${errno}`, `error ${errno}`]
}

/** libuv knows fewer than the C library. */
function findName(errno: number): string | undefined {
  return Object.entries(constants.errno).find(([, number]) => number === errno)?.[0]
}

export interface KernelRefusal {
  /** Positive. */
  readonly errno: number
  /** NLMSGERR_ATTR_MSG: the kernel's own words. */
  readonly text?: string | undefined
  /** NLMSGERR_ATTR_OFFS resolved to a path: IFLA_LINKINFO.IFLA_INFO_DATA. */
  readonly attribute?: string | undefined
}

export class NetlinkError extends Error {
  /** EEXIST, ENODEV, … */
  readonly code: string
  readonly errno: number
  /** What was attempted, on what: `add address "10.1.0.2/24" dev "eth0"`. */
  readonly operation: string
  readonly attribute: string | undefined

  constructor(operation: string, refusal: KernelRefusal, options?: { cause?: unknown }) {
    const [code, text] = describeErrno(refusal.errno)
    const where = refusal.attribute === undefined ? '' : ` (${refusal.attribute})`
    super(`${operation}: ${code}: ${refusal.text ?? text}${where}`, options)
    this.name = 'NetlinkError'
    this.code = code
    this.errno = refusal.errno
    this.operation = operation
    this.attribute = refusal.attribute
  }
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof NetlinkError && codes.includes(error.code)
}

/** The object is gone: a link (ENODEV), an address (EADDRNOTAVAIL), a route (ESRCH), an element (ENOENT). */
export function isNotFound(error: unknown): boolean {
  return hasCode(error, 'ENODEV', 'ENOENT', 'ESRCH', 'EADDRNOTAVAIL')
}

/** For `catch`: what was to be taken away and is gone already is fine. @throws any other error */
export function unlessGone(error: unknown): void {
  if (!isNotFound(error)) throw error
}

export function isAlreadyExists(error: unknown): boolean {
  return hasCode(error, 'EEXIST')
}

/** The running kernel lacks the feature. */
export function isNotSupported(error: unknown): boolean {
  return hasCode(error, 'EOPNOTSUPP', 'ENOTSUPP', 'EPROTONOSUPPORT', 'EAFNOSUPPORT')
}
