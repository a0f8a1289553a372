// The steps of the last ADDs, in memory: for whoever wants to see how a pod was attached.

import type { Step, SteppedCall } from './steps.ts'

export interface LoggedCall extends Pick<SteppedCall, 'hasFailed' | 'durationMs'> {
  /** When it ended, in milliseconds since the epoch. */
  readonly endedAtMs: number
  readonly steps: readonly LoggedStep[]
}

/** As text: what a step was made of need not stay. */
export type LoggedStep = Omit<Step, 'lines'> & { readonly lines: readonly string[] }

/** Enough for all pods of a node, with some plugins each: a few MB. */
const KEPT = 2048

export class StepLog {
  readonly #nowMs: () => number
  readonly #kept: number
  readonly #calls = new Map<string, LoggedCall>()

  constructor(nowMs: () => number, kept = KEPT) {
    this.#nowMs = nowMs
    this.#kept = kept
  }

  /** Keeps an ADD; a DEL that went well takes its ADD away. */
  readonly note = (call: SteppedCall): void => {
    const {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: containerId = '',
      CNI_IFNAME: ifname = '',
    } = call.call.environment
    const key = keyOf(call.plugin, containerId, ifname)
    if (verb === 'ADD') {
      this.#calls.delete(key)
      const steps = call.steps.map(({ lines, ...step }) => ({ ...step, lines: lines() }))
      const { hasFailed, durationMs } = call
      this.#calls.set(key, { hasFailed, durationMs, endedAtMs: this.#nowMs(), steps })
    }
    if (verb === 'DEL' && !call.hasFailed) this.#calls.delete(key)
    const [oldest] = this.#calls.keys()
    if (this.#calls.size > this.#kept && oldest !== undefined) this.#calls.delete(oldest)
  }

  /** @returns undefined when it was not made here, or is too long ago */
  find(
    plugin: string,
    { containerId, ifname }: { containerId: string; ifname: string },
  ): LoggedCall | undefined {
    return this.#calls.get(keyOf(plugin, containerId, ifname))
  }
}

function keyOf(plugin: string, containerId: string, ifname: string): string {
  return `${plugin} ${containerId} ${ifname}`
}
