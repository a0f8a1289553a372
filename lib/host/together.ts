// Steps of a call that need not wait for each other.

/**
 * As Promise.all, but it ends when all have ended: what is undone after a failure must not be made meanwhile.
 *
 * @throws what the first of them, in their order, has thrown
 */
export async function together<T extends readonly Promise<unknown>[]>(...steps: T) {
  await Promise.allSettled(steps)
  return Promise.all(steps)
}
