import { test } from 'tap'
import { askForThreads } from './threads.ts'

test('askForThreads leaves some to others, and obeys the operator', (t) => {
  const asked = (size?: string) => {
    const environment = size === undefined ? {} : { UV_THREADPOOL_SIZE: size }
    const deletions = askForThreads(environment)
    return [environment, deletions]
  }
  t.strictSame(asked(), [{ UV_THREADPOOL_SIZE: '24' }, 20])
  t.strictSame(asked('16'), [{ UV_THREADPOOL_SIZE: '16' }, 12])
  for (const size of ['2', '0', 'many']) t.strictSame(asked(size), [{ UV_THREADPOOL_SIZE: size }, 1])
  t.end()
})
