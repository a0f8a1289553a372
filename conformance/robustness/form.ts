// Each test here has a short form, which the suite plays, and a long one: `npm run test:kill`, `test:cut`, `test:fuzz`, `test:load`.

export const isLong = process.env['ROBUSTNESS'] === 'long'

/** Runs `work` for every item, `jobs` at a time. @returns the answers in the order of the items */
export async function inParallel<Item, Answer>(
  items: readonly Item[],
  jobs: number,
  work: (item: Item) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = []
  const queue = items.entries()
  const serve = async () => {
    for (const [at, item] of queue) answers[at] = await work(item)
  }
  await Promise.all(Array.from({ length: jobs }, serve))
  return answers
}

/** `count` of the items at most, evenly spread, the first and the last among them. */
export function spread<Item>(items: readonly Item[], count: number): Item[] {
  if (items.length <= count) return [...items]
  const step = (items.length - 1) / (count - 1)
  return items.filter((_, at) => Math.round(Math.round(at / step) * step) === at)
}
