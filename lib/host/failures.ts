// Taking things away goes on after a failure: everything is attempted, then all that failed is told.

export class Failures {
  readonly #errors: unknown[] = []

  async attempt(work: () => void | Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#errors.push(error)
    }
  }

  /** @throws the one error, or an AggregateError of several */
  throwIfAny(): void {
    const [first, ...more] = this.#errors
    if (first === undefined) return
    if (more.length === 0) throw first
    throw new AggregateError(this.#errors, first instanceof Error ? first.message : String(first))
  }
}
