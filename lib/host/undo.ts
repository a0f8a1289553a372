// What has been done so far, and how to take it back: the last thing first. Whatever fails, the node is as it was.

interface UndoStep {
  readonly what: string
  readonly run: Run
}

/** @param failures  of the steps that were undone before: those that came after this one */
type Run = (failures: readonly string[]) => void | Promise<void>

export class Undo {
  readonly #steps: UndoStep[] = []

  /** Pushed before the step that it undoes: undoing what was not done must be fine. */
  push(what: string, run: Run): void {
    this.#steps.push({ what, run })
  }

  /** Runs every step, also after one that failed. @returns what failed, in words */
  async run(): Promise<string[]> {
    const failures: string[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.run(failures)
      } catch (error) {
        failures.push(`${step.what}: ${error instanceof Error ? error.message : error}`)
      }
    }
    return failures
  }
}
