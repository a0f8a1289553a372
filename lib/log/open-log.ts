// The log of a process, by its environment.

import { callFields, type Log, silentLog } from './log.ts'

export async function openLog(environment: Readonly<Record<string, string | undefined>>): Promise<Log> {
  const { PODWIRE_LOG: target, PODWIRE_LOG_LEVEL: level } = environment
  if (target === undefined || target === '') return silentLog
  const { openPinoLog } = await import('./pino-log.ts')
  return openPinoLog({ target, level, fields: callFields(environment) })
}
