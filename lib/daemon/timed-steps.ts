// The steps of a call for counters: not one after the other (steps.ts has that), but all that it asks of each port.

export const STEPS = [
  // It waits for its turn (call-queue.ts).
  'queue',
  // Environment and stdin are checked (lib/cni/skel.ts).
  'parse',
  // The store of leases.
  'lease',
  // The store of attachments.
  'record',
  // Links, addresses and routes of the node, rtnetlink.
  'links',
  // All that is done inside the pod's namespace.
  'pod',
  // nftables of the node.
  'nftables',
  // Sysctls of the node.
  'sysctl',
  // Tracked connections of the node.
  'connections',
  // Plugins of others.
  'delegate',
  // Files that are only read.
  'files',
  // None of these: configuration, plan and result, and turns of the event loop that others have.
  'code',
] as const

export type Step = (typeof STEPS)[number]

/** By its place in the list, as in all that is measured. */
export const STEP = Object.fromEntries(STEPS.map((step, i) => [step, i])) as Readonly<Record<Step, number>>
