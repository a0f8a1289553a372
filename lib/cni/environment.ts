// The variables by which a runtime calls a plugin (SPEC.md, "Parameters"), as rules.
// Which are checked, in what order and with what words is that of upstream's skel.

import { CNI_CODE, CniError } from './errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The values as given; '' for what is not there. `command` may be one that nobody knows. */
export interface CallVariables {
  readonly command: string
  readonly containerId: string
  readonly netns: string
  readonly ifname: string
  readonly args: string
  readonly path: readonly string[]
  readonly netnsOverride: boolean
}

interface Variable {
  readonly name: string
  readonly requiredFor: readonly string[]
  /** Only asked where the variable is required, as upstream does. @throws CniError 4 */
  readonly validate?: (value: string) => void
}

const ATTACHING = ['ADD', 'CHECK', 'DEL']
const EVERY = [...ATTACHING, 'GC', 'STATUS']

/** In the order of the checks. An invalid value is told at once; missing ones are told together, at the end. */
const VARIABLES: readonly Variable[] = [
  { name: 'CNI_COMMAND', requiredFor: [...EVERY, 'VERSION'] },
  { name: 'CNI_CONTAINERID', requiredFor: ATTACHING, validate: validateContainerId },
  { name: 'CNI_NETNS', requiredFor: ['ADD', 'CHECK'] },
  { name: 'CNI_IFNAME', requiredFor: ATTACHING, validate: validateIfname },
  { name: 'CNI_PATH', requiredFor: EVERY },
]

/** Characters of container ids and network names. */
export const NAME_PATTERN = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

/** IFNAMSIZ of linux/if.h without the terminating NUL. */
const MAX_IFNAME_BYTES = 15

/** @throws CniError 4 when a variable is invalid or one or more are missing */
export function readEnvironment(environment: Environment): CallVariables {
  const get = (name: string) => environment[name] ?? ''
  const command = get('CNI_COMMAND')
  requireVariables(command, get)
  const attaching = ATTACHING.includes(command)
  return {
    command,
    containerId: attaching ? get('CNI_CONTAINERID') : '',
    netns: attaching ? get('CNI_NETNS') : '',
    ifname: attaching ? get('CNI_IFNAME') : '',
    args: get('CNI_ARGS'),
    // An empty element would mean the working directory, from which nobody means to run plugins as root.
    path: get('CNI_PATH')
      .split(':')
      .filter((directory) => directory !== ''),
    netnsOverride: ['1', 'TRUE'].includes(get('CNI_NETNS_OVERRIDE').toUpperCase()),
  }
}

function requireVariables(command: string, get: (name: string) => string): void {
  const missing: string[] = []
  for (const { name, requiredFor, validate } of VARIABLES) {
    if (!requiredFor.includes(command)) continue
    const value = get(name)
    if (value === '') missing.push(name)
    else validate?.(value)
  }
  if (missing.length > 0) throw invalid(`required env variables [${missing.join(',')}] missing`)
}

function validateContainerId(value: string): void {
  if (!NAME_PATTERN.test(value)) throw invalid('invalid characters in containerID', value)
}

function validateIfname(value: string): void {
  if (Buffer.byteLength(value) > MAX_IFNAME_BYTES) {
    const details = `interface name should be less than ${MAX_IFNAME_BYTES + 1} characters`
    throw invalid('interface name is too long', details)
  }
  if (value === '.' || value === '..') throw invalid('interface name is . or ..')
  if (SEPARATORS.test(value)) {
    throw invalid('interface name contains / or : or whitespace characters')
  }
  if (isUnnameable(value)) throw invalid('interface name contains % or control characters')
}

/** Upstream's, with Unicode's white space: a class by name (`\p{White_Space}`) takes a third of a millisecond to compile. */
const SEPARATORS = /[/:\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/

/**
 * Upstream takes these. The kernel makes a name of its own of one with a % (dev_alloc_name of net/core/dev.c), by which
 * nobody finds the link again; and a control character in a name reaches the terminal of whoever looks.
 */
function isUnnameable(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at)
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true
  }
  return name.includes('%')
}

/** Whether a link can be made under this name. */
export function isIfname(name: string): boolean {
  return (
    name !== '' &&
    !/[\s/:]/.test(name) &&
    !isUnnameable(name) &&
    Buffer.byteLength(name) <= MAX_IFNAME_BYTES &&
    !/^\.\.?$/.test(name)
  )
}

function invalid(message: string, details = ''): CniError {
  return new CniError(CNI_CODE.invalidEnvironment, message, { details })
}
