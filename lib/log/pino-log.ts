// The log that is written, with pino: one JSON object a line. Importing pino costs some 10 ms, so it is loaded only
// where a log was asked for.

import { closeSync, constants, openSync, statSync } from 'node:fs'
import { type DestinationStream, destination, type Logger, pino } from 'pino'
import type { Log, LogFields } from './log.ts'

export interface PinoLogOptions {
  /** `stderr`, or the path of a file that is appended to (made 0600). */
  readonly target: string
  readonly level?: string | undefined
  readonly fields: LogFields
}

const LEVELS = ['error', 'info', 'debug']

/** @throws Error when the file cannot be opened, or for a level that there is not */
export function openPinoLog({ target, level = 'info', fields }: PinoLogOptions): Log {
  if (!LEVELS.includes(level))
    throw new Error(`PODWIRE_LOG_LEVEL is one of ${LEVELS.join(', ')}, not "${level}"`)
  if (target !== 'stderr') requireReader(target)
  const stream: DestinationStream =
    target === 'stderr'
      ? destination({ dest: 2, sync: true })
      : destination({ dest: target, sync: true, mode: 0o600, mkdir: true })
  const logger = pino(
    { level, base: { pid: process.pid, ...fields }, timestamp: pino.stdTimeFunctions.isoTime },
    stream,
  )
  return wrap(logger)
}

/** A FIFO that nobody reads would be waited for when it is opened, and with it the pod. @throws ENXIO */
function requireReader(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isFIFO())
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK))
}

function wrap(logger: Logger): Log {
  return {
    isDebug: logger.isLevelEnabled('debug'),
    debug: (more, message) => logger.debug(more, message),
    info: (more, message) => logger.info(more, message),
    error: (more, message) => logger.error(more, message),
    child: (fields) => wrap(logger.child(fields)),
  }
}
