import { test } from 'tap'
import { together } from './together.ts'

test('together returns what each step does', async (t) => {
  t.strictSame(await together(Promise.resolve(1), Promise.resolve('a')), [1, 'a'])
})

test('together throws when all have ended, what the first has thrown', async (t) => {
  const slow = Promise.withResolvers<void>()
  const steps: string[] = []
  const all = together(
    Promise.resolve(),
    slow.promise.finally(() => steps.push('slow')),
    Promise.reject(new Error('second')),
  )
  const failed = all.catch((error: Error) => steps.push(error.message))
  slow.reject(new Error('first'))
  await failed
  t.strictSame(steps, ['slow', 'first'])
})
