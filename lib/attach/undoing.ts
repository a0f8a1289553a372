// ADD is all or nothing: when a step fails, those before it are undone, and the error says what could not be.

import { CniError, toCniError } from '../cni/errors.ts'
import { Undo } from '../host/undo.ts'

export async function withUndo<T>(work: (undo: Undo) => Promise<T>): Promise<T> {
  const undo = new Undo()
  try {
    return await work(undo)
  } catch (error) {
    throw withUndoFailures(error, await undo.run())
  }
}

function withUndoFailures(error: unknown, failures: readonly string[]): unknown {
  if (failures.length === 0) return error
  const { code, message, details } = toCniError(error)
  const left = `could not be undone: ${failures.join('; ')}`
  return new CniError(code, message, { details: details === '' ? left : `${details}; ${left}`, cause: error })
}
