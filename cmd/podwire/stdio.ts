// Standard input and output as a plugin needs them: all of it, whatever kind of descriptor the runtime passes.

import { openSync, readFileSync, writeSync } from 'node:fs'

/** @returns everything up to the end of the file, as UTF-8 */
export function readAll(fd: number): string {
  try {
    return readFileSync(fd, 'utf8')
  } catch (error) {
    if (!hasCode(error, 'EAGAIN')) throw error
    // The runtime's end left the pipe non-blocking. Opened anew it has flags of its own, and waits.
    return readFileSync(openSync(`/proc/self/fd/${fd}`, 'r'), 'utf8')
  }
}

/**
 * Writes the whole text.
 *
 * @returns false when nobody reads it any more (EPIPE)
 */
export async function writeAll(fd: 1 | 2, text: string): Promise<boolean> {
  let rest = Buffer.from(text)
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest))
    return true
  } catch (error) {
    if (hasCode(error, 'EPIPE')) return false
    if (hasCode(error, 'EAGAIN')) return writeWhenReady(fd, rest)
    throw error
  }
}

/** A non-blocking descriptor whose buffer is full: the event loop waits for the reader. */
function writeWhenReady(fd: 1 | 2, bytes: Uint8Array): Promise<boolean> {
  const stream = fd === 1 ? process.stdout : process.stderr
  return new Promise((resolve) => {
    stream.on('error', () => resolve(false))
    stream.write(bytes, () => resolve(true))
  })
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
