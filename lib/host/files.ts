// Files of the node that are only read: what the kernel tells in /proc and /sys, and what a config names.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import type { Files } from './ports.ts'

/** More is no configuration: whoever names it would fill the daemon's memory. */
const MAX_BYTES = 1 << 20

/** O_NONBLOCK: a FIFO under the name would hold up the whole daemon, and all pods with it. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

export const systemFiles: Files = {
  find(path) {
    const fd = open(path)
    if (fd === undefined) return undefined
    try {
      if (!fstatSync(fd).isFile()) throw new FileError(path, 'it is no regular file')
      return readText(fd, path)
    } finally {
      closeSync(fd)
    }
  },
}

/** What is there cannot be read. */
export class FileError extends Error {
  readonly code = 'EFILE'

  constructor(path: string, why: string) {
    super(`read ${JSON.stringify(path)}: EFILE: ${why}`)
    this.name = 'FileError'
  }
}

function open(path: string): number | undefined {
  try {
    return openSync(path, FLAGS)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Files of /proc and /sys have a size of 0 or of a page, whatever is in them. */
function readText(fd: number, path: string): string {
  const chunks: Buffer[] = []
  for (let length = 0; ; ) {
    const chunk = Buffer.allocUnsafe(4096)
    const count = readSync(fd, chunk)
    if (count === 0) return Buffer.concat(chunks, length).toString()
    length += count
    if (length > MAX_BYTES) throw new FileError(path, `it is longer than ${MAX_BYTES} bytes`)
    chunks.push(chunk.subarray(0, count))
  }
}
