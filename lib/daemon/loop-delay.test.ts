import { setInterval as ticks, setImmediate as turn } from 'node:timers/promises'
import { test } from 'tap'
import { LoopDelay } from './loop-delay.ts'

/** How often it was looked at. */
function looksOf({ data }: LoopDelay): number {
  return data.counts.reduce((all, count) => all + count, 0)
}

/** The timer that looks keeps no process alive. */
async function turnsUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

test('the event loop’s delay is looked at from a client on, for a second after the last', async (t) => {
  const delay = new LoopDelay()
  t.teardown(() => delay.stop())
  t.equal(looksOf(delay), 0)
  delay.watch()
  const until = performance.now() + 60
  while (performance.now() < until);
  await turnsUntil(() => looksOf(delay) > 0)
  t.ok(delay.maxMs >= 39, `held for 60 ms, 20 before it was due: ${delay.maxMs}`)
  await turnsUntil(() => looksOf(delay) === 10)
  delay.watch()
  await turnsUntil(() => looksOf(delay) === 60)
  let others = 0
  for await (const _ of ticks(20)) if (++others === 5) break
  t.equal(looksOf(delay), 60, 'nobody has come since')
  delay.watch()
  await turnsUntil(() => looksOf(delay) === 61)
  t.pass('and again when somebody comes')
})
