import { EventEmitter, once } from 'node:events'
import { test } from 'tap'
import { SpareMemory } from './spare-memory.ts'

test('memory is given back when calls were served, and not when none was', async (t) => {
  const events = new EventEmitter()
  let served = 0
  let trims = 0
  const memory = new SpareMemory({
    trim: async () => {
      trims++
      events.emit('trim')
    },
    countCalls: () => {
      events.emit('look')
      return served
    },
    periodMs: 1,
  })
  memory.start()
  const awake = setInterval(() => undefined, 1000) // its own timer keeps no process
  t.teardown(() => clearInterval(awake))
  t.teardown(() => memory.stop())
  for (let i = 0; i < 3; i++) await once(events, 'look')
  t.equal(trims, 0)
  served = 2
  await once(events, 'trim')
  for (let i = 0; i < 3; i++) await once(events, 'look')
  t.equal(trims, 1)
})
