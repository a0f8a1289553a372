import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { leaseStoreContract } from './lease-store.contract.ts'
import { LeaseMemory, MemoryLeaseStore } from './lease-store-memory.ts'
import { SqliteLeaseStore } from './lease-store-sqlite.ts'

leaseStoreContract('MemoryLeaseStore', () => {
  const memory = new LeaseMemory()
  return (bootId) => new MemoryLeaseStore(bootId, memory)
})

leaseStoreContract('SqliteLeaseStore', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-leases-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return (bootId) => {
    const store = SqliteLeaseStore.open(join(directory, 'leases.db'), { bootId })
    t.teardown(() => store.close())
    return store
  }
})
