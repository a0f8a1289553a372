// What a plugin may touch: the kernel, the stores, other plugins, the clock. A plugin gets these and nothing else,
// so that it runs the same in a process of its own, in the daemon, and in a test on fakes.

import type { Delegates } from '../cni/delegate.ts'
import type { LeaseStore } from '../ipam/lease-store.ts'
import type { Log } from '../log/log.ts'
import type { AttachmentStore } from '../state/attachments.ts'
import type { CallKey } from './call-lock.ts'
import type { Clock } from './clock.ts'
import type { Kernel } from './kernel.ts'
import type { RandomBytes } from './random.ts'
import type { SetMacs } from './set-mac.ts'

export interface Ports {
  readonly kernel: Kernel
  /** What each plugin made for a container. Opened when first used. */
  readonly attachments: AttachmentStore
  /** The leases below a directory (`ipam.dataDir`). Opened when first used, one store per directory. */
  leases(dataDir: string): LeaseStore
  /**
   * Keeps out calls for an attachment, those of this process too, until what is returned is called.
   *
   * @returns undefined while a call is at it
   * @throws StoreError
   */
  lockAttachment(key: CallKey): (() => void) | undefined
  readonly delegates: Delegates
  readonly files: Files
  /** What this process has seen of the node's links. */
  readonly setMacs: SetMacs
  readonly clock: Clock
  readonly log: Log
  readonly random: RandomBytes
  /** Identifies the time since the node's last start; what was recorded under another is gone. */
  readonly bootId: string
  close(): void
}

export interface Files {
  /** @returns undefined when there is no such file; other troubles are thrown as they are */
  find(path: string): string | undefined
}
