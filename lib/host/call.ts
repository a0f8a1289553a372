// A call that may be made twice. The shim sends a call to the daemon; when the daemon dies in the middle, the shim makes
// the same call anew, in a process of its own, and what the first try has made by then must go.
//
// The shim names each call, in a variable of the environment that it passes on either way. An attachment's record has
// the name of the call that made it: so a second try knows its own leavings from a live pod that is added twice.

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

/** Whether it is the second try of the call that made this. */
export function isRetryOf(request: Request, { callId }: Attachment): boolean {
  return isRetry(request) && callId === request.environment[CALL]
}
