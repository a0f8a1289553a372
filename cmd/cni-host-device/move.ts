// The link on its way into the pod and back. While it is away, its alias is the name that it had on the node; so
// upstream has it, too.

import { findRecordedPod } from '../../lib/attach/recorded-pod.ts'
import { existingDetails } from '../../lib/attach/wire.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { isNotFound } from '../../lib/netlink/error.ts'
import type { Link } from '../../lib/rtnl/link.ts'
import { type DeviceRecord, type HostDeviceRecord, restoreDevice } from './record.ts'

/** @throws CniError 999 when the pod has an interface of that name */
export async function moveIn(
  host: Namespace,
  pod: Namespace,
  { request, device }: { request: Request; device: DeviceRecord },
): Promise<void> {
  if ((await pod.rtnl.findLink(request.ifname)) !== undefined) {
    const message = `failed to rename device "${device.name}" to "${request.ifname}": file exists`
    throw new CniError(CNI_CODE.internal, message, { details: existingDetails(request) })
  }
  const { index } = await host.rtnl.getLink(device.name)
  await host.rtnl.apply({ change: 'set link', link: index, set: { alias: device.name } })
  await host.rtnl.apply({ change: 'set link', link: index, set: { netnsFd: pod.fd, name: request.ifname } })
}

/** Wherever it is: in the pod, still or again on the node, or gone with its namespace. */
export async function moveOut(ports: Ports, request: Request, record: HostDeviceRecord): Promise<void> {
  const { device } = record
  if (device === undefined) return
  const { host } = ports.kernel
  const inside = await sendHomeFrom(findRecordedPod(ports, request, record), host, device)
  // Others may have given a link that alias; the MAC tells that it is the same one.
  const macs = [device.mac, inside?.mac]
  const home = (await listMoved(host, device)).find(({ mac }) => macs.includes(mac))
  if (home === undefined) return
  await rename(host, home, device.name)
  await restoreDevice(host, home.index, device)
}

async function sendHomeFrom(
  pod: Namespace | undefined,
  host: Namespace,
  device: DeviceRecord,
): Promise<Link | undefined> {
  if (pod === undefined) return undefined
  try {
    const link = await findMoved(pod, device)
    if (link !== undefined) await sendHome(host, pod, { link, name: device.name })
    return link
  } finally {
    pod.close()
  }
}

/** Inside the pod. Its MAC may have been changed there, its alias not. */
export async function findMoved(pod: Namespace, device: DeviceRecord): Promise<Link | undefined> {
  const links = await listMoved(pod, device)
  return links.find(({ mac }) => mac === device.mac) ?? links[0]
}

async function listMoved({ rtnl }: Namespace, { name }: DeviceRecord): Promise<Link[]> {
  return (await rtnl.listLinks()).filter(({ alias }) => alias === name)
}

export async function sendHome(
  host: Namespace,
  pod: Namespace,
  { link, name }: { link: Link; name: string },
): Promise<void> {
  const set = { up: false, netnsFd: host.fd, name }
  await pod.rtnl.apply({ change: 'set link', link: link.index, set }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error
  })
}

/** The kernel brings a physical link home when its namespace ends, under the name that it had there. */
async function rename({ rtnl }: Namespace, link: Link, name: string): Promise<void> {
  if (link.name === name) return
  await rtnl.apply({ change: 'set link', link: link.index, set: { up: false } })
  await rtnl.apply({ change: 'set link', link: link.index, set: { name } })
}
