// The log that is written, with pino: one JSON object a line. Importing pino costs some 10 ms, so it is loaded only
// where a log was asked for.

import { type Logger, pino } from 'pino'
import type { Log, LogFields } from './log.ts'
import { openDestination } from './log-destination.ts'

export interface PinoLogOptions {
  /** `stderr`, or the path of a file that is appended to (made 0600). */
  readonly target: string
  readonly level?: string | undefined
  readonly fields: LogFields
}

const LEVELS = ['error', 'info', 'debug']

class LogError extends Error {
  readonly code = 'ELOG'

  constructor(message: string) {
    super(message)
    this.name = 'LogError'
  }
}

/** @throws LogError for a level that there is not, Error when the file cannot be opened */
export function openPinoLog({ target, level: given, fields }: PinoLogOptions): Log {
  const level = given || 'info'
  if (!LEVELS.includes(level))
    throw new LogError(`PODWIRE_LOG_LEVEL is one of ${LEVELS.join(', ')}, not "${level}"`)
  const base = { pid: process.pid, ...fields }
  return wrap(pino({ level, base, timestamp: pino.stdTimeFunctions.isoTime }, openDestination(target)))
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
