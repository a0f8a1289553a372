// Attachment records in SQLite.

import type { Attachment, AttachmentFilter, AttachmentKey, AttachmentStore } from './attachments.ts'
import { Database, type DatabaseOptions, type Schema } from './database.ts'

const SCHEMA: Schema = {
  migrations: [
    `CREATE TABLE attachments (
       plugin TEXT NOT NULL, network TEXT NOT NULL, container_id TEXT NOT NULL, ifname TEXT NOT NULL,
       netns TEXT NOT NULL, record TEXT NOT NULL, boot_id TEXT NOT NULL, created_at_ms INTEGER NOT NULL,
       pod_namespace TEXT, pod_name TEXT,
       PRIMARY KEY (plugin, network, container_id, ifname)
     ) STRICT, WITHOUT ROWID`,
    // What is there was made by an ADD that is over.
    `ALTER TABLE attachments ADD COLUMN is_complete INTEGER NOT NULL DEFAULT 1;
     ALTER TABLE attachments ADD COLUMN call_id TEXT`,
  ],
  forget: ['DELETE FROM attachments WHERE boot_id <> ?'],
}

const KEY = 'plugin = ? AND network = ? AND container_id = ? AND ifname = ?'

interface AttachmentRow extends AttachmentKey {
  readonly netns: string
  readonly record: string
  readonly bootId: string
  readonly createdAtMs: number
  readonly isComplete: number
  readonly callId: string | null
  readonly podNamespace: string | null
  readonly podName: string | null
}

const SELECT = `SELECT plugin, network, container_id AS containerId, ifname, netns, record, boot_id AS bootId,
  created_at_ms AS createdAtMs, is_complete AS isComplete, call_id AS callId, pod_namespace AS podNamespace, pod_name AS podName FROM attachments`
const FIND = `${SELECT} WHERE ${KEY} AND boot_id = ?`
const DELETE = `DELETE FROM attachments WHERE ${KEY}`
const PUT = `INSERT OR REPLACE INTO attachments
  (plugin, network, container_id, ifname, netns, record, boot_id, created_at_ms, is_complete, call_id,
    pod_namespace, pod_name)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const COUNT = 'SELECT count(*) AS count FROM attachments WHERE boot_id = ?'
const COMPLETE = `UPDATE attachments SET is_complete = 1 WHERE ${KEY}`

export class SqliteAttachmentStore implements AttachmentStore {
  readonly #db: Database
  readonly #bootId: string

  private constructor(db: Database, bootId: string) {
    this.#db = db
    this.#bootId = bootId
  }

  /** @param path  the database's file, made where it is missing. @throws StoreError */
  static open(path: string, options: DatabaseOptions): SqliteAttachmentStore {
    return new SqliteAttachmentStore(Database.open(path, SCHEMA, options), options.bootId)
  }

  put(attachment: Attachment): void {
    const { netns, record, bootId, createdAtMs, isComplete, callId, podNamespace, podName } = attachment
    this.#db.runAlone(
      PUT,
      ...keyOf(attachment),
      netns,
      JSON.stringify(record),
      bootId,
      createdAtMs,
      isComplete ? 1 : 0,
      callId ?? null,
      podNamespace ?? null,
      podName ?? null,
    )
  }

  complete(key: AttachmentKey): void {
    this.#db.runAlone(COMPLETE, ...keyOf(key))
  }

  find(key: AttachmentKey): Attachment | undefined {
    const row = this.#db.findAlone<AttachmentRow>(FIND, ...keyOf(key), this.#bootId)
    return row && toAttachment(row)
  }

  delete(key: AttachmentKey): void {
    this.#db.runAlone(DELETE, ...keyOf(key))
  }

  list(filter: AttachmentFilter = {}): Attachment[] {
    const conditions = {
      plugin: filter.plugin,
      network: filter.network,
      container_id: filter.containerId,
      boot_id: filter.anyBoot ? undefined : this.#bootId,
    }
    const given = Object.entries(conditions).flatMap(([column, value]) =>
      value === undefined ? [] : [{ condition: `${column} = ?`, value }],
    )
    const where = given.length > 0 ? `WHERE ${given.map(({ condition }) => condition).join(' AND ')}` : ''
    const sql = `${SELECT} ${where} ORDER BY plugin, network, container_id, ifname`
    return this.#db
      .read((db) => db.list<AttachmentRow>(sql, ...given.map(({ value }) => value)))
      .map(toAttachment)
  }

  count(): number {
    return this.#db.findAlone<{ count: number }>(COUNT, this.#bootId)?.count ?? 0
  }

  probe(): void {
    this.#db.probe()
  }

  close(): void {
    this.#db.close()
  }
}

function keyOf(key: AttachmentKey): [string, string, string, string] {
  return [key.plugin, key.network, key.containerId, key.ifname]
}

function toAttachment(row: AttachmentRow): Attachment {
  const { record, isComplete, callId, podNamespace, podName, ...rest } = row
  return {
    ...rest,
    record: JSON.parse(record),
    isComplete: isComplete !== 0,
    ...(callId !== null && { callId }),
    ...(podNamespace !== null && { podNamespace }),
    ...(podName !== null && { podName }),
  }
}
