// Which link of the node is meant. Where links and devices meet is sysfs (Documentation/ABI/testing/sysfs-class-net).

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Files, Ports } from '../../lib/host/ports.ts'
import type { MacAddress } from '../../lib/ip/mac.ts'
import type { Link } from '../../lib/rtnl/link.ts'

export type Selector =
  | { readonly by: 'name'; readonly name: string }
  | { readonly by: 'mac'; readonly mac: MacAddress }
  | { readonly by: 'path'; readonly path: string }
  | { readonly by: 'bus'; readonly id: string }

/** Drivers that give a device to a program (DPDK): the kernel has no link for it. */
const USERSPACE_DRIVERS = ['vfio-pci', 'uio_pci_generic', 'igb_uio']
const PCI = '/sys/bus/pci/devices'
const AUXILIARY = '/sys/bus/auxiliary/devices'

/** A program inside the pod drives the device itself: nothing is moved. */
export function isUserspaceDevice({ files }: Ports, selector: Selector): boolean {
  if (selector.by !== 'bus') return false
  const uevent = files.find(`${PCI}/${selector.id}/uevent`) ?? ''
  return USERSPACE_DRIVERS.includes(/^DRIVER=(.*)$/m.exec(uevent)?.[1] ?? '')
}

/** @throws CniError 999 when there is none */
export async function getDevice({ kernel, files }: Ports, selector: Selector): Promise<Link> {
  const { rtnl } = kernel.host
  const found =
    selector.by === 'name'
      ? await rtnl.findLink(selector.name)
      : (await rtnl.listLinks()).find((link) => matches(files, link, selector))
  if (found !== undefined && found.name !== 'lo') return found
  const why = selector.by === 'name' ? 'Link not found' : 'failed to find physical interface'
  const details = 'it is not on the node: another pod may have it, or the config names another'
  throw new CniError(CNI_CODE.internal, `failed to find host device: ${why}`, { details })
}

function matches(files: Files, link: Link, selector: Exclude<Selector, { by: 'name' }>): boolean {
  switch (selector.by) {
    case 'mac':
      return link.mac === selector.mac
    case 'path':
      return isAt(files, link, selector.path)
    case 'bus':
      return (
        isAt(files, link, `${PCI}/${selector.id}`) ||
        isAt(files, link, `${AUXILIARY}/${selector.id}`) ||
        isOnSlot(files, link, selector.id)
      )
  }
}

function isAt(files: Files, { name, index }: Link, device: string): boolean {
  return files.find(`${device}/net/${name}/ifindex`)?.trim() === String(index)
}

/** Between a virtio link and its place on the bus is the virtio device. */
function isOnSlot(files: Files, { name, index }: Link, slot: string): boolean {
  if (files.find(`/sys/class/net/${name}/ifindex`)?.trim() !== String(index)) return false // another namespace's /sys
  const uevent = files.find(`/sys/class/net/${name}/device/../uevent`) ?? ''
  return uevent.split('\n').includes(`PCI_SLOT_NAME=${slot}`)
}
