// CHECK: what is there is not what ADD made. Every difference is named.

import { CniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'

/** Of our plugins' own (100 and above): the attachment is not as ADD made it. */
export const CHECK_FAILED = 100

/** CniError 100 with the differences one by one, for who is not told by JSON. */
export class DriftError extends CniError {
  readonly drifts: readonly string[]

  constructor({ name, containerId, ifname }: Request, drifts: readonly string[]) {
    super(CHECK_FAILED, `attachment is not as ADD made it: ${drifts.join('; ')}`, {
      details: `network ${name}, container ${containerId}, interface ${ifname}; restart the pod, or DEL and ADD it again`,
    })
    this.drifts = drifts
  }
}

/** @throws DriftError naming all of them; none are fine */
export function requireNoDrift(request: Request, drifts: readonly string[]): void {
  if (drifts.length > 0) throw new DriftError(request, drifts)
}

/** @param rows  what it is, what it should be, what it is now */
export function differences(
  subject: string,
  rows: readonly (readonly [string, unknown, unknown])[],
): string[] {
  return rows
    .filter(([, expected, actual]) => expected !== actual)
    .map(
      ([what, expected, actual]) =>
        `${subject} has ${what} ${actual ?? 'none'}, expected ${expected ?? 'none'}`,
    )
}
