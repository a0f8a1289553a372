// Most calls execute no other program, and start without what it takes (node:fs/promises alone costs a millisecond).

import type { DelegateExec } from './delegate.ts'
import type { DelegateExecOptions } from './delegate-exec.ts'

export function lazyDelegateExec(options: DelegateExecOptions): DelegateExec {
  const open = async () => (await import('./delegate-exec.ts')).createDelegateExec(options)
  return {
    find: async (type, path) => (await open()).find(type, path),
    run: async (call) => (await open()).run(call),
  }
}
