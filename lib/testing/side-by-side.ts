// Two calls that meet. Ports in memory answer in microtasks, so a call that begins some of these after another meets it at
// another of its steps.

export interface Meeting {
  readonly first: () => Promise<unknown>
  readonly second: () => Promise<unknown>
  /** How many microtasks later the second begins. */
  readonly after: number
}

/** @returns whether the first was still at it when the second began */
export async function meet({ first, second, after }: Meeting): Promise<boolean> {
  let isOver = false
  const one = first().finally(() => {
    isOver = true
  })
  for (let i = 0; i < after; i++) await undefined
  const met = !isOver
  await Promise.all([one, second()])
  return met
}
