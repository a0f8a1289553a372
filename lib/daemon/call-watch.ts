// What one call asks of its ports: how long it waits for each, and what they refuse.

import { NetlinkError } from '../netlink/error.ts'
import { NetnsError } from '../netns/netns.ts'
import { NftError } from '../nftables/error.ts'
import { StoreError } from '../state/store-error.ts'
import { SysctlError } from '../sysctl/sysctl.ts'
import type { Holding, LoopStretches } from './loop-stretches.ts'
import { STEP, STEPS } from './timed-steps.ts'

/** Who is told what the ports refuse. */
export interface Refusals {
  kernelRefused(operation: string, errno: string): void
  storeRefused(operation: string, code: string): void
}

export interface WatchOptions {
  readonly holding: Holding
  readonly stretches: LoopStretches
  readonly refusals: Refusals
}

/** Requests of one step that overlap are one wait. */
class Wait {
  spentMs = 0
  #open = 0
  #since = 0

  begin(now: number): void {
    if (this.#open++ === 0) this.#since = now
  }

  end(now: number): void {
    if (--this.#open === 0) this.spentMs += now - this.#since
  }
}

export class CallWatch {
  readonly #options: WatchOptions
  readonly #steps: (Wait | undefined)[] = []
  readonly #any = new Wait()
  /** What the call took once it had begun; known when it is over. */
  totalMs = 0

  constructor(options: WatchOptions) {
    this.#options = options
  }

  /** Runs a method of a port, for one of STEPS. What it promises is handed on as it is. */
  call<Args extends readonly unknown[], T>(
    step: number,
    port: object,
    [method, args]: readonly [method: (...args: Args) => T, args: Args],
  ): T {
    const { stretches, holding } = this.#options
    stretches.enter(holding)
    const wait = this.#waitOf(step)
    const began = performance.now()
    wait.begin(began)
    this.#any.begin(began)
    let result: T
    try {
      result = method.apply(port, args as unknown as [...Args])
    } catch (error) {
      this.#settle(step, began, { wait, error })
      throw error
    }
    if (result instanceof Promise) {
      stretches.addStep(step, performance.now() - began)
      const settle = (error?: unknown) => {
        stretches.enter(holding)
        const now = performance.now()
        wait.end(now)
        this.#any.end(now)
        if (error !== undefined) this.#refused(error)
      }
      result.then(() => settle(), settle)
    } else this.#settle(step, began, { wait })
    return result
  }

  #waitOf(step: number): Wait {
    const known = this.#steps[step]
    if (known !== undefined) return known
    const wait = new Wait()
    this.#steps[step] = wait
    return wait
  }

  #settle(step: number, began: number, { wait, error }: { wait: Wait; error?: unknown }): void {
    const now = performance.now()
    wait.end(now)
    this.#any.end(now)
    this.#options.stretches.addStep(step, now - began)
    if (error !== undefined) this.#refused(error)
  }

  /** What was measured elsewhere. */
  add(step: number, ms: number): void {
    this.#waitOf(step).spentMs += ms
  }

  /** @param totalMs  of it, what no port was waited for was our own code's */
  finish(totalMs: number): void {
    this.totalMs = totalMs
    const parsedMs = this.#steps[STEP.parse]?.spentMs ?? 0
    this.add(STEP.code, Math.max(0, totalMs - parsedMs - this.#any.spentMs))
  }

  /** In ms, by place in STEPS; undefined where nothing was asked. */
  get spentMs(): (number | undefined)[] {
    return STEPS.map((_, i) => this.#steps[i]?.spentMs)
  }

  #refused(error: unknown): void {
    const { refusals } = this.#options
    if (error instanceof NetlinkError || error instanceof NftError)
      refusals.kernelRefused(operationName(error.operation), errnoLabel(error.code))
    else if (error instanceof SysctlError)
      refusals.kernelRefused(operationName(error.message), errnoLabel(error.code))
    else if (error instanceof NetnsError) refusals.kernelRefused('open netns', errnoLabel(error.code))
    else if (error instanceof StoreError) refusals.storeRefused(error.operation, error.code)
  }
}

/** Of which the names of operations are made: whatever else is in their texts, is of some pod. */
const WORDS = new Set(
  (
    'add addr address addresses append bridge chain chains change create del delete destroy dev element elements ' +
    'filter filters flush for get insert ip link links list look map netns open qdisc read replace route routes rule ' +
    'rules set sets show sysctl table tables tc vlan vlans wait write'
  ).split(' '),
)
const MAX_WORDS = 3

/** `ip link add`, of `ip link add br0 type bridge`. */
export function operationName(text: string): string {
  const words = text.split(' ').filter((word) => word !== '-4' && word !== '-6')
  const end = words.findIndex((word, i) => i === MAX_WORDS || !WORDS.has(word))
  return words.slice(0, end < 0 ? MAX_WORDS : end).join(' ') || 'other'
}

function errnoLabel(code: string): string {
  return /^E[A-Z0-9]{1,20}$/.test(code) ? code : 'other'
}
