// A plugin: the five verbs of the CNI spec over the ports that it may touch.

import type { Request } from './request.ts'
import type { Result } from './result.ts'
import type { SpecVersion } from './versions.ts'

/** Something on the node that belongs to no valid attachment. */
export interface Garbage {
  /** `lease 10.1.0.5 of network net`. */
  readonly what: string
  readonly why: string
  /** @returns false when it stays: somebody has it, or is at it, since it was found */
  readonly remove: () => void | boolean | Promise<void> | Promise<boolean>
}

/** The differences that were found, a text each, as CHECK tells them. */
export interface Repair {
  readonly mended: readonly string[]
  /** Each with the reason, where there was an error. */
  readonly left: readonly string[]
}

/**
 * Any error may be thrown; what is not a CniError becomes code 999 at the edge (`toCniError`).
 *
 * A missing `gc` or `status` succeeds silently, as it does upstream.
 */
export interface Plugin<Ports> {
  readonly name: string
  /** Oldest first. */
  readonly supportedVersions: readonly SpecVersion[]
  /** When it throws, the node is as it was: nothing of the attachment is left and nobody has to call `del`. */
  add(ports: Ports, request: Request): Promise<Result>
  /** Missing things are fine; everything is attempted before an error is thrown. */
  del(ports: Ports, request: Request): Promise<void>
  /** Changes nothing. Throws when something that `add` made is not as it made it. */
  check(ports: Ports, request: Request): Promise<void>
  gc?(ports: Ports, request: Request): Promise<void>
  /** What `gc` takes away; changes nothing. */
  findGarbage?(ports: Ports, request: Request): Promise<Garbage[]>
  /**
   * Makes again what is missing of a live attachment, named by the request, as far as that does not disturb it. What
   * the plugin has no record of is fine.
   */
  repair?(ports: Ports, request: Request): Promise<Repair>
  /** Throws CniError 50 or 51 when the next `add` would fail. */
  status?(ports: Ports, request: Request): Promise<void>
}
