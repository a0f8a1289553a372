import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'tap'
import { LoopStretches } from './loop-stretches.ts'
import { STEP } from './timed-steps.ts'

const ADD = { verb: 'ADD', plugin: 'cni-bridge' }

/** Keeps the event loop. */
function hold(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

test('a stretch lasts until nothing is left to do, promises included', async (t) => {
  const stretches = new LoopStretches(() => 0)
  stretches.enter(ADD)
  await nothing()
  hold(3)
  await nothing()
  stretches.enter({ verb: 'DEL', plugin: 'cni-bridge' }) // the same stretch
  stretches.addStep(STEP.links, 1)
  stretches.addStep(STEP.links, 1)
  await nextTurn()
  const [longest, ...others] = stretches.longest
  t.match(longest, { ...ADD, steps: { links: 2 }, at: '1970-01-01T00:00:00.000Z' })
  t.ok((longest?.ms ?? 0) >= 3)
  t.strictSame(others, [])
  t.match(stretches.samples, [{ labels: ['ADD'], value: { sum: Number } }])
})

test('what comes in another turn is another stretch, and the longest of each verb is kept', async (t) => {
  const stretches = new LoopStretches(() => 0)
  stretches.enter(ADD)
  hold(4)
  await nextTurn()
  hold(10) // nobody's
  stretches.addStep(STEP.links, 1)
  stretches.enter({ ...ADD, plugin: 'cni-ptp' })
  await nextTurn()
  stretches.enter({ ...ADD, verb: 'DEL' })
  await nextTurn()
  t.match(stretches.longest, [
    { ...ADD, steps: {} },
    { plugin: 'cni-bridge', verb: 'DEL' },
  ])
  const counts = stretches.samples.map(({ labels, value }) => [
    ...labels,
    typeof value === 'number' ? value : value.counts.reduce((sum, count) => sum + count, 0),
  ])
  t.strictSame(counts, [
    ['ADD', 2],
    ['DEL', 1],
  ])
})

async function nothing(): Promise<void> {}
