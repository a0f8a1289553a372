import { test } from 'tap'
import { ANY_BURST, bucketOf } from './bucket.ts'

const MBIT = 1_000_000

// Of a link with an MTU of 1500: rate and burst in bits, and the bucket in bytes.
const BUCKETS: readonly (readonly [
  what: string,
  rate: number,
  burst: number,
  bucket: readonly [rate: number, burst: number, limit: number],
])[] = [
  ['is in bytes', 10 * MBIT, 160_000, [1_250_000, 20_000, 51_250]],
  ['rounds down', 10 * MBIT + 7, 160_007, [1_250_000, 20_000, 51_250]],
  ['holds a whole frame', 10 * MBIT, 1000, [1_250_000, 1518, 32_768]],
  ['is never empty', 7, 16_000, [1, 2000, 2000]],
  ['has a burst of our choice when nobody named one', 10 * MBIT, ANY_BURST, [1_250_000, 131_072, 162_322]],
  ['has a larger one at a higher rate', 1000 * MBIT, ANY_BURST, [125_000_000, 3_125_000, 6_250_000]],
  ['takes a large burst at its word', 10 * MBIT, ANY_BURST - 1, [1_250_000, 536_870_911, 536_902_161]],
  [
    'has no larger queue than the kernel',
    10 * MBIT,
    8 * 4_294_967_294,
    [1_250_000, 4_294_967_294, 4_294_967_295],
  ],
]

for (const [what, bitsPerSecond, burstBits, [rateBytesPerSecond, burstBytes, limitBytes]] of BUCKETS)
  test(`a bucket ${what}`, async (t) => {
    t.strictSame(bucketOf({ bitsPerSecond, burstBits }, 1500), {
      kind: 'tbf',
      rateBytesPerSecond,
      burstBytes,
      limitBytes,
    })
  })
