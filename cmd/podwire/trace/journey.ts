// What a packet met so far, and how it ended.

export interface Step {
  /** `pod demo/web`, `bridge cni0`, `node` */
  readonly where: string
  readonly what: string
}

export type Outcome =
  /** Somebody on this node has it. */
  | { readonly end: 'arrives'; readonly why: string }
  /** It is on its way to where this node cannot look. */
  | { readonly end: 'leaves'; readonly why: string }
  | { readonly end: 'dies'; readonly why: string; readonly remedy: string }

/** Thrown by whoever knows how it ends. */
export class JourneyEnd extends Error {
  readonly outcome: Outcome

  constructor(outcome: Outcome) {
    super(outcome.why)
    this.outcome = outcome
  }
}

export function arrive(why: string): never {
  throw new JourneyEnd({ end: 'arrives', why })
}

export function leave(why: string): never {
  throw new JourneyEnd({ end: 'leaves', why })
}

export function die(why: string, remedy: string): never {
  throw new JourneyEnd({ end: 'dies', why, remedy })
}
