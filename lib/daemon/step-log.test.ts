import { test } from 'tap'
import { StepLog } from './step-log.ts'
import type { SteppedCall } from './steps.ts'

function callOf(verb: string, containerId: string, hasFailed = false): SteppedCall {
  const environment = { CNI_COMMAND: verb, CNI_CONTAINERID: containerId, CNI_IFNAME: 'eth0' }
  const call = { plugin: 'bridge', netns: '', places: [], environment, stdin: '' }
  return { plugin: 'cni-bridge', call, hasFailed, durationMs: 1, steps: [] }
}

test('StepLog keeps ADDs until their DEL, and forgets the oldest', (t) => {
  const log = new StepLog(() => 7, 2)
  const known = () =>
    ['a', 'b', 'c'].filter(
      (containerId) => log.find('cni-bridge', { containerId, ifname: 'eth0' }) !== undefined,
    )
  log.note(callOf('ADD', 'a'))
  log.note(callOf('CHECK', 'b'))
  t.same(known(), ['a'])
  t.match(log.find('cni-bridge', { containerId: 'a', ifname: 'eth0' }), {
    endedAtMs: 7,
    steps: [],
  })
  t.equal(log.find('cni-portmap', { containerId: 'a', ifname: 'eth0' }), undefined)
  log.note(callOf('ADD', 'b', true))
  log.note(callOf('ADD', 'c'))
  t.same(known(), ['b', 'c'], 'two are kept')
  log.note(callOf('DEL', 'b', true))
  t.same(known(), ['b', 'c'], 'a DEL that failed has not taken it away')
  log.note(callOf('DEL', 'b'))
  t.same(known(), ['c'])
  t.end()
})
