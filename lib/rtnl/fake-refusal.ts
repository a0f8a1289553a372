// Why the fake kernel refuses something: an errno, and words where the real one has some of its own.

import { constants } from 'node:os'
import type { KernelRefusal } from '../netlink/error.ts'

export class FakeRefusal extends Error {
  readonly refusal: KernelRefusal

  constructor(code: keyof typeof constants.errno, words: Omit<KernelRefusal, 'errno'> = {}) {
    super(code)
    this.refusal = { errno: constants.errno[code], ...words }
  }
}
