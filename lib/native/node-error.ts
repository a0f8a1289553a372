// Errors of the addon (`errno` above zero, `syscall`) as those of node:fs.

import { getSystemErrorMessage, getSystemErrorName } from 'node:util'

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

/** With a code, the errno below zero, and the path in the message. @param thrown  any other is returned as it is */
export function asNodeError(thrown: unknown, path: string): NodeJS.ErrnoException {
  const error = thrown as NodeJS.ErrnoException
  if (error.errno === undefined || error.errno < 0) return error
  const errno = -error.errno
  const [code, why] = [getSystemErrorName(errno), getSystemErrorMessage(errno)]
  const message = `${code}: ${why}, ${error.syscall} '${path}'`
  return Object.assign(new Error(message), { errno, code })
}
