// An addon must lie in a file to be loaded: dlopen(3) knows no memory. Whoever can write that file, or any directory
// above it, can run code as root, so only places that nobody else can write to are used, and what lies there
// already is compared in full before it is trusted. Several processes may do this at once.

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

export interface AddonFile {
  /** File name; it carries a hash of the content, so that versions lie side by side. */
  readonly file: string
  readonly content: Uint8Array
}

export class AddonError extends Error {
  readonly code = 'EADDON'
  readonly subject: string

  constructor(subject: string, why: string, options?: ErrorOptions) {
    super(`load native addon "${subject}": EADDON: ${why}`, options)
    this.name = 'AddonError'
    this.subject = subject
  }
}

const GROUP_OR_OTHER_WRITE = 0o022
const STICKY = 0o1000

/**
 * Writes the addon into the first directory that is safe, writable and mounted executable, and opens it there.
 * A file that is there already, ours and complete is opened as it is.
 *
 * @param directories  candidates, best first; made (0755) when missing
 * @param open  loads the file at the path; its failure means that the directory is no use (noexec)
 * @throws AddonError naming every candidate with the reason it was passed over
 */
export function loadFromFirst<T>(
  directories: readonly string[],
  addon: AddonFile,
  open: (path: string) => T,
): T {
  const reasons: string[] = []
  for (const directory of directories) {
    try {
      return open(place(directory, addon))
    } catch (error) {
      reasons.push(`${directory}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  const remedy =
    process.geteuid?.() === 0
      ? 'make one of them writable by root only and mounted without noexec'
      : 'Podwire is to be run as root'
  throw new AddonError(addon.file, `no directory to load it from (${reasons.join('; ')}); ${remedy}`)
}

/** Makes sure that the addon lies in the directory. @returns its path */
function place(directory: string, addon: AddonFile): string {
  const path = join(directory, addon.file)
  if (isTrusted(path, addon.content)) {
    requireSafe(directory)
    return path
  }
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  requireSafe(directory)
  writeAtomically(path, addon.content)
  return path
}

/** Not synced: after a power loss the file may be short, and is then found not to match and written again. */
function writeAtomically(path: string, content: Uint8Array): void {
  const temporary = `${path}.${process.pid}.${process.hrtime.bigint()}`
  const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o500)
  try {
    try {
      writeFileSync(fd, content)
      fchmodSync(fd, 0o500) // whatever the umask
    } finally {
      closeSync(fd) // before the rename: a file open for writing must not be seen under its final name
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** Whether the file is ours, closed to others, and holds exactly this content. */
function isTrusted(path: string, content: Uint8Array): boolean {
  let fd: number
  try {
    // O_NONBLOCK: opening a FIFO someone put there must not hang.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    return false // whatever the reason: it is written anew, and that says what is wrong with the place
  }
  try {
    const stats = fstatSync(fd)
    return (
      stats.isFile() &&
      isOurs(stats) &&
      (stats.mode & GROUP_OR_OTHER_WRITE) === 0 &&
      stats.size === content.length &&
      readFileSync(fd).equals(content)
    )
  } finally {
    closeSync(fd)
  }
}

/** The directory and all above it: who may write to one of them may put another in place of what is below. */
function requireSafe(directory: string): void {
  const target = realpathSync(directory)
  for (let path = target; ; path = dirname(path)) {
    const stats = lstatSync(path)
    // In a sticky directory (/tmp) nobody can move what is root's, but anyone may add: fine above, not for the directory itself.
    const writable = (stats.mode & GROUP_OR_OTHER_WRITE) !== 0
    const sticky = (stats.mode & STICKY) !== 0 && path !== target
    if (!isOurs(stats)) throw new Error(`"${path}" belongs to uid ${stats.uid}`)
    if (writable && !sticky) throw new Error(`"${path}" is writable by others`)
    if (path === dirname(path)) return
  }
}

/** Root's, or that of the user we run as (rootless runtimes, tests). */
function isOurs(stats: Stats): boolean {
  return stats.uid === 0 || stats.uid === process.geteuid?.()
}
