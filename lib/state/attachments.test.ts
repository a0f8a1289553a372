import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { attachmentStoreContract } from './attachments.contract.ts'
import { type AttachmentMemory, MemoryAttachmentStore } from './attachments-memory.ts'
import { SqliteAttachmentStore } from './attachments-sqlite.ts'

attachmentStoreContract('MemoryAttachmentStore', () => {
  const memory: AttachmentMemory = new Map()
  return (bootId) => new MemoryAttachmentStore(bootId, memory)
})

attachmentStoreContract('SqliteAttachmentStore', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-attachments-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return (bootId) => {
    const store = SqliteAttachmentStore.open(join(directory, 'attachments.db'), { bootId })
    t.teardown(() => store.close())
    return store
  }
})
