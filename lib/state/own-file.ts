// Files that only root may have put there. Whoever else can write to one, or to the directory that it is in, decides what
// root reads and writes: a link leads to another file, a FIFO holds up who opens it, a database of one's own tells of
// pods that are not.

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  type Stats,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'

import { loadNative } from '../native/native.ts'
import { asNodeError } from '../native/node-error.ts'
import { remedyFor, StoreError, storeErrorOfErrno } from './store-error.ts'

const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants

/**
 * Opens a file to lock it, or to append to it. Makes it (0600) and its directories (0700) where they are missing.
 *
 * @returns its descriptor
 * @throws StoreError EUNSAFE when somebody else could have put it there
 */
export function openOwnFile(path: string): number {
  let fd: number
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    requireOwn(path, dirname(path), statSync(dirname(path)))
    fd = openSync(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o600)
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ELOOP'
      ? unsafe(path, `"${path}" is a link`)
      : storeErrorOfErrno(error, 'open', path)
  }
  try {
    requireOwnFile(path, fstatSync(fd))
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/**
 * For who has locked a file: when somebody has removed it meanwhile, others lock a new one, and locks of the old one mean nothing.
 *
 * @returns the descriptor where it is still that of the path; else another, of what is there now, and the old one is closed
 * @throws StoreError
 */
export function keepInPlace(fd: number, path: string): number {
  try {
    if (loadNative().isSameFile(fd, path)) return fd
  } catch (error) {
    throw asNodeError(error, path)
  }
  const another = openOwnFile(path)
  closeSync(fd) // last: a number that is closed may be another file's soon
  return another
}

/** Of files that something else opens; those that are not there are fine. @throws StoreError EUNSAFE */
export function requireOwnFiles(paths: readonly string[]): void {
  for (const path of paths) {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    if (stats !== undefined) requireOwnFile(path, stats)
  }
}

function requireOwnFile(path: string, stats: Stats): void {
  if (!stats.isFile())
    throw unsafe(path, `"${path}" is ${stats.isSymbolicLink() ? 'a link' : 'no regular file'}`)
  requireOwn(path, path, stats)
}

/** Root's, or that of the user that we run as (rootless runtimes, tests); the same for groups. */
function requireOwn(path: string, place: string, { uid, gid, mode }: Stats): void {
  if (uid !== 0 && uid !== process.geteuid?.()) throw unsafe(path, `"${place}" belongs to user ${uid}`)
  const isGroupOthers = gid !== 0 && gid !== process.getegid?.()
  if ((mode & (isGroupOthers ? 0o022 : 0o002)) !== 0)
    throw unsafe(path, `"${place}" can be written to by others (mode ${(mode & 0o7777).toString(8)})`)
}

function unsafe(path: string, why: string): StoreError {
  return new StoreError('EUNSAFE', { operation: 'open', path, why, remedy: remedyFor('EUNSAFE', path) })
}
