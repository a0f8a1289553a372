// Stores of a node on which nothing was attached yet, for commands that look: they are in memory, and nothing is made.

import type { EmptyStores } from '../../lib/host/open-ports.ts'
import { MemoryLeaseStore } from '../../lib/ipam/lease-store-memory.ts'
import { MemoryAttachmentStore } from '../../lib/state/attachments-memory.ts'

export const EMPTY_STORES: EmptyStores = {
  attachments: (bootId) => new MemoryAttachmentStore(bootId),
  leases: (bootId) => new MemoryLeaseStore(bootId),
}
