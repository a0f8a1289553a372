// Whether a link's MAC was set by somebody or is the kernel's own choice, which a bridge changes as ports come and go.
// netlink does not tell; sysfs does (Documentation/ABI/testing/sysfs-class-net, addr_assign_type).

import type { Link } from '../rtnl/link.ts'
import type { Kernel } from './kernel.ts'
import type { Files, Ports } from './ports.ts'

/** NET_ADDR_SET (linux/netdevice.h). */
const SET = '3'

/**
 * By ifindex, the MACs that this process has seen set. The kernel never takes that back, and another link with the same
 * index has another MAC: this cannot be out of date. In the daemon it saves two files a call; and where /sys shows
 * another namespace's links, a MAC is set once, not by each call (which would flush the bridge's neighbours).
 */
const known = new WeakMap<Kernel, Map<number, string>>()

/** @returns false also when /sys shows another namespace's links: setting a MAC to what it is does no harm */
export function hasSetMac({ kernel, files }: Pick<Ports, 'kernel' | 'files'>, link: Link): boolean {
  const isKnown = link.mac !== undefined && known.get(kernel)?.get(link.index) === link.mac
  return isKnown || readsSet(files, link)
}

/** It has been seen set, or set. */
export function rememberSetMac(kernel: Kernel, { index, mac }: Link): void {
  if (mac === undefined) return
  const macs = known.get(kernel) ?? new Map<number, string>()
  known.set(kernel, macs.set(index, mac))
}

function readsSet(files: Files, { name, index }: Link): boolean {
  const read = (file: string) => files.find(`/sys/class/net/${name}/${file}`)?.trim()
  return read('ifindex') === String(index) && read('addr_assign_type') === SET
}
