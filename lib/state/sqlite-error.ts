// SQLite's result codes as StoreErrors (https://sqlite.org/rescode.html).

import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'

import { remedyFor, StoreError, type StoreErrorCode } from './store-error.ts'

const SQLITE_IOERR = 10

/** By primary result code. What is missing (SQL errors, constraints) is a mistake of ours, not of the store. */
const CODE_OF_RESULT: Readonly<Record<number, StoreErrorCode>> = {
  5: 'ELOCKED', // BUSY
  6: 'ELOCKED', // LOCKED
  8: 'EREADONLY', // READONLY
  [SQLITE_IOERR]: 'EIO',
  11: 'ECORRUPT', // CORRUPT
  13: 'EFULL', // FULL
  14: 'EIO', // CANTOPEN
  15: 'ELOCKED', // PROTOCOL
  26: 'ECORRUPT', // NOTADB
}

/** @returns a StoreError for a failure of SQLite that is the store's, anything else as it is */
export function storeErrorOfSqlite(error: unknown, operation: string, path: string): unknown {
  if (!isSqliteError(error)) return error
  const primary = error.errcode & 0xff
  // On a full file system the shared-memory file cannot grow, which SQLite reports as an I/O error.
  const code = primary === SQLITE_IOERR && isFull(path) ? 'EFULL' : CODE_OF_RESULT[primary]
  if (code === undefined) return error
  const why = `${error.message} (SQLite ${error.errcode})`
  return new StoreError(code, { operation, path, why, remedy: remedyFor(code, path), cause: error })
}

function isSqliteError(error: unknown): error is Error & { errcode: number } {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
}

function isFull(path: string): boolean {
  const { bavail, ffree, files } = statfsSync(dirname(path))
  return bavail === 0 || (files > 0 && ffree === 0)
}
