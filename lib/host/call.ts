// A call that may be made twice. The shim sends a call to the daemon; when the daemon dies in the middle, the shim makes
// the same call anew, in a process of its own, and what the first try has made by then must go.
//
// The shim names each call, in a variable of the environment that it passes on either way. An attachment's record has
// the name of the call that made it: so a second try knows its own leavings from a live pod that is added twice.

import type { Environment } from '../cni/environment.ts'
import type { Request } from '../cni/request.ts'
import type { Attachment } from '../state/attachments.ts'

const CALL = 'PODWIRE_CALL'
/** Set for the second try. */
const RETRY = 'PODWIRE_RETRY'

/** For the record of what the call makes. */
export function callOf({ environment }: Request): Pick<Attachment, 'callId'> {
  const callId = environment[CALL]
  return callId ? { callId } : {}
}

/** Whether it is the second try of a call. */
export function isRetry({ environment }: Request): boolean {
  return Boolean(environment[CALL] && environment[RETRY])
}

/**
 * Tells the processes that the first try of a call has started, by their variables: a delegate of the daemon's goes on when
 * the daemon is killed, and would do its work beside, or after, that of the second try.
 *
 * @returns undefined when this is no second try
 */
export function startedByFirstTry({
  [CALL]: call,
  [RETRY]: retry,
}: Environment): ((variables: readonly string[]) => boolean) | undefined {
  if (!call || !retry) return undefined
  return (variables) => variables.includes(`${CALL}=${call}`) && !variables.includes(`${RETRY}=${retry}`)
}

/** Whether it is the second try of the call that made this. */
export function isRetryOf(request: Request, { callId }: Attachment): boolean {
  return isRetry(request) && callId === request.environment[CALL]
}
