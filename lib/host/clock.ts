// Wall-clock time as a port: what is recorded (leases, attachments) carries it.

export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now() }
