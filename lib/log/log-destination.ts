// Where lines of a log go. Whoever writes them wires pods, and neither waits for the log's reader nor fails with its disk:
// what cannot be written at once is kept, up to a limit, then lost, and how much was lost is told when lines go through again.

import { closeSync, constants, fstatSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { type DestinationStream, pino } from 'pino'
import { loadNative } from '../native/native.ts'

const STDERR = 2
const MAX_KEPT_BYTES = 256 << 10
const RETRY_MS = 100
/** Of a pipe with room, so much is taken without waiting (PIPE_BUF). */
const PIPE_BYTES = 4096
const NEWLINE = Buffer.from('\n')

/** @param bytes  what is to be written. @returns how much was; 0 when that would wait. @throws Error with an errno */
export type WriteNow = (bytes: Uint8Array) => number

export interface DestinationOptions {
  readonly maxKeptBytes?: number
  readonly retryMs?: number
}

/**
 * @param target  `stderr`, or the path of a file that is appended to (made 0600)
 * @throws Error when the file cannot be opened
 */
export function openDestination(target: string): LogDestination {
  const fd = target === 'stderr' ? STDERR : openFile(target)
  const native = loadNative()
  // Other processes append to the file as well: there a line is one write.
  const pieceBytes = fstatSync(fd).isFile() ? Number.POSITIVE_INFINITY : PIPE_BYTES
  return new LogDestination((bytes) => native.writeNow(fd, bytes.subarray(0, pieceBytes)))
}

interface Kept {
  /** What is yet to be written. */
  readonly bytes: Uint8Array
  /** How many are lost with it: one, or those that it tells of. */
  readonly lines: number
  readonly isBegun: boolean
}

export class LogDestination implements DestinationStream {
  readonly #writeNow: WriteNow
  readonly #maxKeptBytes: number
  readonly #retryMs: number
  #kept: Kept[] = []
  #keptBytes = 0
  #lost = 0
  /** A line was begun and lost. */
  #isCut = false
  #isTimed = false

  constructor(
    writeNow: WriteNow,
    { maxKeptBytes = MAX_KEPT_BYTES, retryMs = RETRY_MS }: DestinationOptions = {},
  ) {
    this.#writeNow = writeNow
    this.#maxKeptBytes = maxKeptBytes
    this.#retryMs = retryMs
  }

  /** Does not throw. */
  write(line: string): void {
    const bytes = Buffer.from(line)
    if (this.#keptBytes + bytes.length > this.#maxKeptBytes) this.#lost++
    else this.#keep(bytes)
    this.#flush()
  }

  #keep(line: Uint8Array, lines = 1): void {
    const bytes = this.#isCut ? Buffer.concat([NEWLINE, line]) : line
    this.#isCut = false
    this.#kept.push({ bytes, lines, isBegun: false })
    this.#keptBytes += bytes.length
  }

  #flush(): void {
    while (this.#writeFirst()) {
      if (this.#kept.length > 0 || this.#lost === 0) continue
      this.#keep(Buffer.from(lostLine(this.#lost)), this.#lost)
      this.#lost = 0
    }
    if (this.#kept.length > 0) this.#retryLater()
  }

  /** @returns whether there may be more to write: it went, or was lost */
  #writeFirst(): boolean {
    const [first] = this.#kept
    if (first === undefined) return false
    let written: number
    try {
      written = this.#writeNow(first.bytes)
    } catch {
      // A full disk, a reader that is gone: what was kept is not worth the wait.
      this.#lose(first)
      return false
    }
    this.#keptBytes -= written
    if (written === first.bytes.length) this.#kept.shift()
    else if (written > 0) this.#kept[0] = { ...first, bytes: first.bytes.subarray(written), isBegun: true }
    return written > 0
  }

  #lose(first: Kept): void {
    this.#lost += this.#kept.reduce((sum, { lines }) => sum + lines, 0)
    this.#isCut ||= first.isBegun
    this.#kept = []
    this.#keptBytes = 0
  }

  #retryLater(): void {
    if (this.#isTimed) return
    this.#isTimed = true
    setTimeout(() => {
      this.#isTimed = false
      this.#flush()
    }, this.#retryMs).unref()
  }
}

/** As pino has them. */
function lostLine(lost: number): string {
  const time = pino.stdTimeFunctions.isoTime()
  return `{"level":50${time},"pid":${process.pid},"lost":${lost},"msg":"lines were lost: the log could not be written"}\n`
}

function openFile(path: string): number {
  mkdirSync(dirname(path), { recursive: true })
  // A FIFO that nobody reads would be waited for when it is opened, and with it the pod: ENXIO.
  if (statSync(path, { throwIfNoEntry: false })?.isFIFO())
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK))
  return openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600)
}
