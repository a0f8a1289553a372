// What the page draws (`/api/node`) and tells of a pod (`/api/pods/…`): JSON, made by take-picture.ts and pod-story.ts, read
// by the browser's half. Types only.

export interface Picture {
  /** Milliseconds since the epoch, by the node's clock, as all times here. */
  readonly atMs: number
  readonly node: PictureNode
  /** Without the wires of pods. */
  readonly links: readonly PictureLink[]
  readonly pods: readonly PicturePod[]
  readonly pools: readonly PicturePool[]
  readonly masquerade: readonly PictureMasquerade[]
  readonly hostPorts: readonly PictureHostPort[]
  /** What could not be read, and why; the rest is drawn. */
  readonly troubles: readonly string[]
}

export interface PictureNode {
  readonly name: string
  readonly version: string
  readonly startedAtMs: number
  /** Null where the kernel has no such switch. */
  readonly forwarding: { readonly ipv4: boolean | null; readonly ipv6: boolean | null }
}

export interface PictureLink {
  readonly name: string
  /** `veth`, `bridge`, …; '' for hardware and loopback. */
  readonly kind: string
  readonly mac: string
  readonly mtu: number
  /** `up`, `down`, or `no carrier` for one that is up and has nobody at its other end. */
  readonly state: LinkState
  readonly addresses: readonly string[]
  /** Next hops of the node's default routes over it; '' for a route without one. */
  readonly defaultVia: readonly string[]
}

export type LinkState = 'up' | 'down' | 'no carrier'

/** An interface of a pod. */
export interface PicturePod {
  readonly id: string
  /** '' where the runtime named no pod. */
  readonly namespace: string
  readonly name: string
  readonly container: string
  readonly ifname: string
  readonly network: string
  readonly addresses: readonly string[]
  readonly mac: string
  readonly state: 'attached' | 'incomplete' | 'gone'
  readonly createdAtMs: number
  readonly plugins: readonly string[]
  /** The node's end of its wire, as the kernel has it; null when none is recorded or none is there. */
  readonly wire: PictureWire | null
  /** The bridge that it should be plugged into; '' for none. */
  readonly bridge: string
  /** What the kernel has otherwise than it is recorded. */
  readonly troubles: readonly string[]
}

export interface PictureWire {
  readonly name: string
  readonly mac: string
  readonly mtu: number
  readonly state: LinkState
  /** Of the bridge's port: `forwarding`, …; '' without a bridge. */
  readonly port: string
}

export interface PicturePool {
  readonly network: string
  /** `10.1.0.2-10.1.0.254` */
  readonly range: string
  readonly used: number
  /** As text: there may be 2^64. */
  readonly total: string
  /** How many addresses a square stands for. */
  readonly perSquare: string
  /** From the first address on. A range that is too large to be drawn is drawn as far as it was used. */
  readonly squares: readonly Square[]
  /** How many addresses come after the last square. */
  readonly rest: string
}

/** The first address, and how many of its addresses are held; `pod` where it is one and of a pod that is drawn. */
export interface Square {
  readonly first: string
  readonly held: number
  /** Given back, and not handed out since. */
  readonly released: number
  /** Never handed out: a gateway, or excluded. */
  readonly reserved: boolean
  readonly pod?: string
}

export interface PictureMasquerade {
  readonly address: string
  /** In this subnet it is not masqueraded; '' where it is not known. */
  readonly beyond: string
  readonly pod: string
}

export interface PictureHostPort {
  readonly protocol: string
  readonly port: number
  /** '' for any address of the node. */
  readonly hostIp: string
  readonly address: string
  readonly podPort: number
  readonly pod: string
}

/** All about one pod: an entry for each of its interfaces. */
export interface PodStory {
  readonly atMs: number
  readonly interfaces: readonly InterfaceStory[]
}

export interface InterfaceStory {
  readonly pod: Omit<PicturePod, 'wire' | 'troubles'>
  readonly netns: string
  readonly rows: readonly StoryRow[]
  /** What CHECK finds different, in words. */
  readonly drifts: readonly string[]
  readonly notChecked: readonly string[]
  /** In the order in which they were made. */
  readonly adds: readonly StoryAdd[]
}

/** Something that was made: as it is recorded, and as it is. */
export interface StoryRow {
  readonly place: string
  readonly what: string
  readonly recorded: string | null
  readonly found: string | null
  readonly differs: boolean
}

export interface StoryAdd {
  readonly plugin: string
  readonly recordedAtMs: number
  /** Null where this daemon has not seen it: it was made by a process of its own, or by an earlier daemon. */
  readonly call: StoryCall | null
}

export interface StoryCall {
  readonly atMs: number
  readonly durationMs: number
  readonly hasFailed: boolean
  readonly steps: readonly StoryStep[]
}

export interface StoryStep {
  readonly kind: string
  readonly does: 'change' | 'wait' | 'look'
  readonly where: 'node' | 'pod'
  readonly atMs: number
  readonly durationMs: number
  readonly hasFailed: boolean
  readonly lines: readonly string[]
}
