// Whether a link's MAC was set by somebody or is the kernel's own choice, which a bridge changes as ports come and go.
// netlink does not tell; sysfs does (Documentation/ABI/testing/sysfs-class-net, addr_assign_type).

import type { Link } from '../rtnl/link.ts'
import type { Files } from './ports.ts'

/** NET_ADDR_SET (linux/netdevice.h). */
const SET = '3'

/** @returns false also when /sys shows another namespace's links: setting a MAC to what it is does no harm */
export function hasSetMac(files: Files, { name, index }: Link): boolean {
  const read = (file: string) => files.find(`/sys/class/net/${name}/${file}`)?.trim()
  return read('ifindex') === String(index) && read('addr_assign_type') === SET
}
