// Which attachments GC may take away (SPEC.md, "GC"). The runtime names those that are valid, and all others go.
//
// When it names none at all (`cnitool gc` sends no list, a nil slice of libcni is null) nothing is known of what is
// attached: then only what is dead beyond doubt goes, whose namespace is no more. An empty list is an answer: all go.
// (docs/adr/0009-gc.md)

import { commonFields } from '../cni/netconf.ts'
import type { Garbage } from '../cni/plugin.ts'
import type { Request } from '../cni/request.ts'
import { decode, object } from '../cni/schema.ts'
import { NetnsError } from '../netns/netns.ts'
import { asProcess1Sees } from '../netns/process-1.ts'
import type { Attachment } from '../state/attachments.ts'
import { Failures } from './failures.ts'
import type { Kernel } from './kernel.ts'

interface Owned {
  readonly containerId: string
  readonly ifname: string
}

const KEY = 'cni.dev/valid-attachments'
const schema = object({ [KEY]: commonFields[KEY] })

/** Everything is attempted. @throws what failed */
export async function collect(garbage: readonly Garbage[]): Promise<void> {
  const failures = new Failures()
  for (const { remove } of garbage) await failures.attempt(async () => void (await remove()))
  failures.throwIfAny()
}

/** @returns undefined when the runtime names none. @throws CniError 7 when the list cannot be read */
export function listValid(request: Request): Owned[] | undefined {
  const list = decode(schema, request.netconf)[KEY]
  return list?.map(({ containerID: containerId, ifname }) => ({ containerId, ifname }))
}

/** Whether an attachment that is recorded must stay. */
export function isValid(
  kernel: Kernel,
  valid: readonly Owned[] | undefined,
  attachment: Attachment,
): boolean {
  if (valid !== undefined) return valid.some((owner) => isSameOwner(owner, attachment))
  return isAlive(kernel, attachment.netns)
}

/**
 * Whether there is a network namespace at the path, here or for the node's first process. In a mount namespace of its own
 * (`unshare --mount`, a unit that hides /run) a process may not see where runtimes mount the namespaces of pods.
 */
export function isAlive(kernel: Kernel, netns: string): boolean {
  if (isThere(kernel, netns)) return true
  try {
    return isThere(kernel, asProcess1Sees(netns))
  } catch (error) {
    // Without root's rights over it, as in a user namespace, there is only what is seen here.
    if (error instanceof NetnsError && ['EACCES', 'EPERM'].includes(error.code)) return false
    throw error
  }
}

/** Whether the path is that of a network namespace. */
export function isThere(kernel: Kernel, netns: string): boolean {
  try {
    kernel.openNamespace(netns).close()
    return true
  } catch (error) {
    if (error instanceof NetnsError && error.isGone) return false
    throw error
  }
}

export function isSameOwner(a: Owned, b: Owned): boolean {
  return a.containerId === b.containerId && a.ifname === b.ifname
}

/** A DEL of that attachment, by the config of the GC: for ourselves and for delegates. */
export function asDel(request: Request, { containerId, ifname, netns }: Attachment): Request {
  const environment = {
    ...request.environment,
    CNI_COMMAND: 'DEL',
    CNI_CONTAINERID: containerId,
    CNI_IFNAME: ifname,
    CNI_NETNS: netns,
  }
  return { ...request, command: 'DEL', containerId, ifname, netns, args: new Map(), environment }
}
