// The attachments of this node as people see them: one for each interface of a pod, with the plugins that made it or
// changed something for it.

import { changesIn } from '../../lib/attach/changed-later.ts'
import { isThere } from '../../lib/host/garbage.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { fullPodName } from '../../lib/log/full-pod-name.ts'
import type { Attachment } from '../../lib/state/attachments.ts'
import { CommandError } from './command.ts'
import { type RecordFields, recordFields } from './record-fields.ts'
import { visible } from './style.ts'

export interface Attached extends Pick<Attachment, 'network' | 'containerId' | 'ifname' | 'netns'> {
  /** '' where the runtime named no pod. */
  readonly podNamespace: string
  readonly podName: string
  readonly createdAtMs: number
  /** As recorded, that which made the interface first. */
  readonly attachments: readonly Attachment[]
  /** Of the plugin that made the interface. */
  readonly fields: RecordFields
  /** Of the pod's interface, by plugins that came later, too. */
  readonly pod: { readonly mac?: string; readonly mtu?: number }
  readonly state: State
}

/** `incomplete`: an ADD is at it, or was killed. `gone`: the pod's namespace is no more. */
export type State = 'attached' | 'incomplete' | 'gone'

export interface Filter {
  readonly network?: string | undefined
  /** `name` or `namespace/name`. */
  readonly pod?: string | undefined
  /** The beginning of its id. */
  readonly container?: string | undefined
}

/** By namespace and name of the pod, then container and interface. */
export function listAttached(ports: Ports, filter: Filter = {}): Attached[] {
  // Before anything is looked at: of one among hundreds, only its own namespace is.
  const wanted = ports.attachments.list().filter((attachment) => mayMatch(attachment, filter))
  const groups = Map.groupBy(
    wanted,
    ({ network, containerId, ifname }) => `${network} ${containerId} ${ifname}`,
  )
  return [...groups.values()]
    .map((attachments) => describe(ports, attachments))
    .filter((attached) => filter.pod === undefined || isNamed(attached, filter.pod))
    .sort((a, b) => compare(sortKey(a), sortKey(b)))
}

function describe(ports: Ports, group: readonly Attachment[]): Attached {
  const attachments = group.toSorted(
    (a, b) => makesInterface(b) - makesInterface(a) || a.createdAtMs - b.createdAtMs,
  )
  const [first] = attachments
  if (first === undefined) throw new Error('a group has a member')
  const { network, containerId, ifname, netns, createdAtMs } = first
  const fields = recordFields(first.record)
  const { mac = fields.podMac, mtu = fields.mtu } = changesIn(attachments.slice(1))
  return {
    network,
    containerId,
    ifname,
    netns,
    createdAtMs,
    podNamespace: first.podNamespace ?? '',
    podName: first.podName ?? '',
    attachments,
    fields,
    pod: { ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) },
    state: stateOf(ports, attachments, netns),
  }
}

function makesInterface({ record }: Attachment): number {
  const { ips, hostIfname, podMac } = recordFields(record)
  return Number(ips.length > 0) * 2 + Number(hostIfname !== undefined || podMac !== undefined)
}

function stateOf(ports: Ports, attachments: readonly Attachment[], netns: string): State {
  if (!isThere(ports.kernel, netns)) return 'gone'
  return attachments.every(({ isComplete }) => isComplete) ? 'attached' : 'incomplete'
}

function mayMatch({ network, containerId }: Attachment, filter: Filter): boolean {
  return (
    (filter.network === undefined || network === filter.network) &&
    (filter.container === undefined || containerId.startsWith(filter.container))
  )
}

function isNamed({ podNamespace, podName }: Attached, pod: string): boolean {
  return pod.includes('/') ? pod === `${podNamespace}/${podName}` : pod === podName
}

function sortKey({ podNamespace, podName, containerId, ifname, network }: Attached): string {
  return [podNamespace, podName, containerId, ifname, network].join('\0')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * All interfaces of one pod, by the pod's name or the beginning of its container's id.
 *
 * @throws CommandError when there is none, or more than one is meant
 */
export function findPod(ports: Ports, who: string): Attached[] {
  const named = listAttached(ports, { pod: who })
  const found = named.length > 0 ? named : listAttached(ports, { container: who })
  const pods = [...new Set(found.map(podText))]
  if (found.length === 0)
    throw new CommandError(`no pod and no container "${who}" is attached`, 'podwire list names them all')
  if (pods.length > 1) {
    throw new CommandError(
      `"${who}" is more than one: ${pods.join(', ')}`,
      'name NAMESPACE/POD, or more of the id',
    )
  }
  return found
}

/** `default/web-0`, else the container. */
export function podText({
  podNamespace,
  podName,
  containerId,
}: Pick<Attached, 'podNamespace' | 'podName' | 'containerId'>): string {
  return visible(podName === '' ? containerId : fullPodName(podNamespace, podName))
}

/** As much of an id as tells it from others, as `crictl` does. */
export function shortId(containerId: string): string {
  return containerId.length > 24 ? containerId.slice(0, 13) : containerId
}
