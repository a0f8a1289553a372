import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'tap'
import type { Conntrack } from '../conntrack/conntrack.ts'
import type { Nft } from '../nftables/nft.ts'
import { makeScene } from '../testing/scene.ts'
import { LazyConntrack, LazyNft } from './lazy-ports.ts'

/** Can be opened from the second time on. */
function opener<T>(port: T) {
  let tries = 0
  const open = async (): Promise<T> => {
    if (++tries === 1) throw new Error('EMFILE')
    return port
  }
  return { open, tries: () => tries }
}

test('a port that could not be opened is opened by who asks next, and once', async (t) => {
  const { nft } = makeScene().kernel.host
  const { open, tries } = opener<Nft>(nft)
  const lazy = new LazyNft(open)
  await t.rejects(lazy.listTables(), { message: 'EMFILE' })
  t.strictSame(await lazy.listTables(), [])
  t.strictSame(await lazy.listTables(), [])
  t.equal(tries(), 2)
})

test('a port that could not be opened is closed without a word', async (t) => {
  const { conntrack } = makeScene().kernel.host
  const { open } = opener<Conntrack>(conntrack)
  const lazy = new LazyConntrack(open)
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const flushed = lazy.flush([], 0).catch(String)
  lazy.close()
  t.equal(await flushed, 'Error: EMFILE')
  lazy.close()
  await nextTurn()
  t.strictSame(unhandled, [])
})
