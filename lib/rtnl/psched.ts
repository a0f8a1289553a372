// The kernel's arithmetic of rates and times (psched_ratecfg_precompute, psched_l2t_ns in net/sched/sch_generic.c and
// include/net/sch_generic.h): it divides by multiplying and shifting, and what it reports has passed through that.

const NANOSECONDS = 1_000_000_000n
const TOP_BIT_32 = 1n << 31n
const TOP_BIT_64 = 1n << 63n
/** A tick is 64 ns (PSCHED_SHIFT). */
const TICK_SHIFT = 6n

interface Bucket {
  readonly rateBytesPerSecond: number
  readonly burstBytes: number
}

/** The time that a burst takes at its rate, in ticks, cut to 32 bits as the kernel cuts it. */
export function tbfBufferTicks({ rateBytesPerSecond, burstBytes }: Bucket): number {
  const { multiplier, shift } = ratio(BigInt(rateBytesPerSecond))
  const nanoseconds = (BigInt(burstBytes) * multiplier) >> shift
  return Number(BigInt.asUintN(32, nanoseconds >> TICK_SHIFT))
}

/** Nanoseconds per byte as a fraction with 32 bits. */
function ratio(rate: bigint): { multiplier: bigint; shift: bigint } {
  let factor = NANOSECONDS
  let shift = 0n
  for (;;) {
    const multiplier = BigInt.asUintN(32, factor / rate)
    if ((multiplier & TOP_BIT_32) !== 0n || (factor & TOP_BIT_64) !== 0n) return { multiplier, shift }
    factor <<= 1n
    shift++
  }
}
