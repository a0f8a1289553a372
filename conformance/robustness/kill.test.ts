// A plugin killed with SIGKILL at any moment of ADD or DEL: what the runtime does next leaves nothing behind.
//
//   KILL_AT='ADD first GC sendmsg 12' node conformance/robustness/kill.test.ts     one of them again, with its system calls

import { t as file, test } from 'tap'
import { inParallel, isLong, spread } from './form.ts'
import { play, type Recovery, type Scene } from './kill-scene.ts'
import type { Point } from './killed-call.ts'

const VERBS = ['ADD', 'DEL'] as const
const NODES = ['first', 'busy'] as const
const RECOVERIES: readonly Recovery[] = ['DEL', 'GC', 'DEL without the namespace']
/** A play mostly waits for the processes that it starts. */
const JOBS = 2
/** Of the short form, for each verb on each node. */
const POINTS = { ADD: 7, DEL: 5 }
const DEADLINE_MS = 3_600_000

file.setTimeout(DEADLINE_MS)

const again = process.env['KILL_AT']

for (const verb of VERBS) {
  for (const node of NODES) {
    if (again !== undefined) continue
    test(`nothing is left when ${verb} on a ${node} node is killed`, async (t) => {
      const whole = await play({ verb, node, recovery: 'DEL' })
      t.same(whole.faults, [], 'nothing is left of a call that is not killed')
      t.equal(whole.call.status, 0, 'it ends by itself')
      const { points } = whole.call
      t.ok(points.length > 20, `${points.length} of its system calls are our code's`)
      const chosen = isLong ? points : spread(points, POINTS[verb])
      const plays = chosen.flatMap((at, nth) =>
        recoveriesOf(nth).map((recovery) => ({ verb, node, recovery, at })),
      )
      const outcomes = await inParallel(plays, JOBS, playAt)
      const killed = outcomes.filter((outcome) => outcome.killed).length
      // One or two may not be met: how often a thread is woken differs from run to run.
      t.ok(killed >= 0.95 * plays.length - 1, `${killed} of ${plays.length} were killed`)
      t.same(
        outcomes.flatMap(({ faults }) => faults),
        [],
      )
    })
  }
}

if (again !== undefined) {
  test('the call that KILL_AT names leaves nothing', async (t) => {
    const [, verb, node, recovery, name = '', nth] =
      /^(ADD|DEL) (first|busy) (.+) (\w+) (\d+)$/.exec(again) ?? []
    const outcome = await play({ verb, node, recovery } as Scene, { name, nth: Number(nth) })
    t.comment(outcome.call.calls.join('\n'))
    t.same(outcome.faults, [])
  })
}

/** The long form plays every recovery at every point, the short one takes turns. */
function recoveriesOf(nth: number): readonly Recovery[] {
  return isLong ? RECOVERIES : RECOVERIES.slice(nth % 3, (nth % 3) + 1)
}

async function playAt({ at, ...scene }: Scene & { readonly at: Point }) {
  const { call, faults } = await play(scene, at)
  const title = `${scene.verb} ${scene.node} ${scene.recovery} ${at.name} ${at.nth}`
  return {
    killed: call.killed,
    faults: faults.map((fault) => `KILL_AT='${title}' (${call.calls.at(-1)}): ${fault}`),
  }
}
