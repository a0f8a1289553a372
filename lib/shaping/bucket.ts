// From a rate and a burst, as a config has them, to the token bucket that keeps a link to them (tc-tbf(8)).

import type { Tbf } from '../rtnl/qdisc.ts'

/** What may flow in one direction. */
export interface Rate {
  readonly bitsPerSecond: number
  /** What may come at once after a rest, or ANY_BURST. */
  readonly burstBits: number
}

/**
 * go-cni sends this when nobody has named a burst (Kubernetes' annotations cannot). Taken at its word, the first half
 * gigabyte would not be held back at all.
 */
export const ANY_BURST = 2 ** 32 - 1

const BITS = 8
const U32_MAX = 2 ** 32 - 1
/** How long a frame may wait in the bucket's queue, beside the time that the burst takes; upstream's, too. */
const QUEUE_SECONDS = 0.025
/** Ethernet's, with the tag of a VLAN: the kernel counts whole frames. */
const FRAME_HEADER_BYTES = 18
/** Of a burst that is ours to choose: two frames as large as segmentation offload makes them. */
const MIN_CHOSEN_BURST_BYTES = 2 * 65_536
const CHOSEN_BURST_SECONDS = 0.025

/**
 * A burst that is smaller than a full frame is raised to one: the bucket would never send it.
 *
 * @param mtu  of the link that sends
 */
export function bucketOf({ bitsPerSecond, burstBits }: Rate, mtu: number): Tbf {
  const rateBytesPerSecond = Math.max(1, Math.floor(bitsPerSecond / BITS))
  const wanted = burstBits === ANY_BURST ? chooseBurst(rateBytesPerSecond) : Math.floor(burstBits / BITS)
  const burstBytes = Math.min(Math.max(wanted, mtu + FRAME_HEADER_BYTES), U32_MAX)
  const limitBytes = Math.min(Math.floor(rateBytesPerSecond * QUEUE_SECONDS) + burstBytes, U32_MAX)
  return { kind: 'tbf', rateBytesPerSecond, burstBytes, limitBytes }
}

/** Enough to reach the rate whatever the timers do, little enough to hold to it from the first moment. */
function chooseBurst(rateBytesPerSecond: number): number {
  return Math.max(Math.floor(rateBytesPerSecond * CHOSEN_BURST_SECONDS), MIN_CHOSEN_BURST_BYTES)
}
