// The index that SQLite keeps of a WAL, in shared memory (`<database>-shm`): https://sqlite.org/walformat.html, 2.
//
// It outlives the processes, within a boot, and so knows how much had been committed when the WAL was cut or removed.

import { endianness } from 'node:os'

const VERSION = 3007000
const HEADER_BYTES = 48
const WAL_HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
/** Two copies of the header, and the number of frames that are in the database already. */
export const WAL_INDEX_BYTES = 2 * HEADER_BYTES + 4

/**
 * @param index  its first WAL_INDEX_BYTES, or what there is of them
 * @returns how long the WAL is at least, in bytes; 0 when all is in the database, or the index says nothing
 */
export function leastWalBytes(index: Buffer): number {
  const isLittle = endianness() === 'LE'
  const u32 = (at: number) => (isLittle ? index.readUInt32LE(at) : index.readUInt32BE(at))
  const u16 = (at: number) => (isLittle ? index.readUInt16LE(at) : index.readUInt16BE(at))
  if (index.length < WAL_INDEX_BYTES || u32(0) !== VERSION) return 0
  const copy = index.subarray(HEADER_BYTES, 2 * HEADER_BYTES)
  if (!index.subarray(0, HEADER_BYTES).equals(copy)) return 0 // It was being written.
  const [pageSize, frames, copiedBack] = [u16(14), u32(16), u32(96)]
  const pageBytes = pageSize === 1 ? 65_536 : pageSize
  return copiedBack >= frames ? 0 : WAL_HEADER_BYTES + frames * (FRAME_HEADER_BYTES + pageBytes)
}
