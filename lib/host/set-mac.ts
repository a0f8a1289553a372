// Whether a link's MAC was set by somebody or is the kernel's own choice, which a bridge changes as ports come and go.
// netlink does not tell; sysfs does (Documentation/ABI/testing/sysfs-class-net, addr_assign_type).

import type { Link } from '../rtnl/link.ts'
import type { Files } from './ports.ts'

/** NET_ADDR_SET (linux/netdevice.h). */
const SET = '3'

/**
 * The MACs that this process has seen set, by ifindex, of the node's links. The kernel never takes that back, and
 * another link with the same index has another MAC: this cannot be out of date. In the daemon it saves two files a call;
 * and where /sys shows another namespace's links, a MAC is set once, not by each call (which would flush the bridge's
 * neighbours).
 */
export class SetMacs {
  readonly #macs = new Map<number, string>()

  /** @returns false also when /sys shows another namespace's links: setting a MAC to what it is does no harm */
  has(link: Link, files: Files): boolean {
    return (link.mac !== undefined && this.#macs.get(link.index) === link.mac) || readsSet(files, link)
  }

  /** It has been seen set, or set. */
  add({ index, mac }: Link): void {
    if (mac !== undefined) this.#macs.set(index, mac)
  }
}

function readsSet(files: Files, { name, index }: Link): boolean {
  const read = (file: string) => files.find(`/sys/class/net/${name}/${file}`)?.trim()
  return read('ifindex') === String(index) && read('addr_assign_type') === SET
}
