// What a step of an ADD is good for, in words. The commands beside it are the daemon's; this is the reader's guide.

import type { StoryStep } from '../picture.ts'

/** The first that fits counts. */
const TITLES: readonly (readonly [
  kind: string,
  where: StoryStep['where'],
  pattern: RegExp,
  title: string,
])[] = [
  ['leases', 'node', /./, 'Leases the pod’s addresses'],
  ['records', 'node', /record what/, 'Writes down what it is going to make, so that it can be taken back'],
  ['records', 'node', /all of it/, 'Writes down that all of it is made'],
  ['records', 'node', /./, 'Changes the record'],
  ['links', 'node', /type bridge\b/, 'Makes the bridge: a switch in software'],
  ['links', 'node', /type veth/, 'Makes the wire: one end on the node, the other born inside the pod'],
  ['links', 'node', /type (?:macvlan|ipvlan|vlan|dummy)/, 'Makes the pod’s interface, on one of the node’s'],
  ['links', 'node', /addr add/, 'Gives the bridge its address: the pods’ gateway'],
  ['links', 'node', /route/, 'Makes a route to the pod'],
  ['links', 'node', /alias|bridge_slave/, 'Names the node’s end after its pod, plugs it in and brings it up'],
  ['links', 'node', /wait for/, 'Waits until the bridge forwards to the wire'],
  ['links', 'node', /qdisc|filter/, 'Limits the rate'],
  ['links', 'node', /\bup\b/, 'Brings it up'],
  ['links', 'pod', /addr add/, 'Inside the pod: brings the interface up, with its addresses and routes'],
  ['links', 'pod', /./, 'Inside the pod: changes the interface'],
  ['sysctl', 'node', /forward/, 'Lets the node pass packets on'],
  ['sysctl', 'node', /./, 'Sets switches of the kernel'],
  ['sysctl', 'pod', /./, 'Inside the pod: sets switches of the kernel'],
  ['nftables', 'node', /spoof/, 'Guards the pod’s MAC address'],
  ['nftables', 'node', /hostport/, 'Opens the ports of the node that are the pod’s'],
  ['nftables', 'node', /masquerade/, 'Lets what leaves the pod’s subnet leave under the node’s address'],
  ['nftables', 'node', /./, 'Adds the pod to the firewall'],
  ['conntrack', 'node', /./, 'Forgets connections of who had the address before'],
  ['delegate', 'node', /./, 'Has another plugin do its part'],
  ['namespace', 'pod', /./, 'Opens the pod’s network namespace'],
]

export function explainStep({ kind, where, does, lines }: StoryStep): string {
  const text = lines.join('\n')
  if (does === 'look' && kind !== 'namespace') return 'Looks'
  const [, , , title] = TITLES.find((row) => row[0] === kind && row[1] === where && row[2].test(text)) ?? []
  return title ?? 'Changes something'
}
