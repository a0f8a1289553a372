// What `cni-host-device` does for one attachment, as plain JSON: which link it moves, and how it was before.

import type { AddressRecord } from '../../lib/attach/addressing.ts'
import type { IpamSection } from '../../lib/attach/ipam.ts'
import type { PodRecord } from '../../lib/attach/recorded-pod.ts'
import { fromRouteRecord, type RouteRecord, toRouteRecord } from '../../lib/attach/route-record.ts'
import type { Namespace } from '../../lib/host/kernel.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { isAlreadyExists } from '../../lib/netlink/error.ts'
import type { IfIndex, Link } from '../../lib/rtnl/link.ts'
import { RT_TABLE_MAIN } from '../../lib/rtnl/route.ts'
import type { Change } from '../../lib/rtnl/rtnl.ts'

export interface HostDeviceRecord extends AddressRecord, PodRecord {
  /** Absent where a program drives the device. */
  readonly device?: DeviceRecord
  readonly ipam: IpamSection | null
}

export interface DeviceRecord {
  readonly name: string
  readonly mac: string
  readonly alias: string
  readonly up: boolean
  /** Of the node, which it loses when it moves. */
  readonly addresses: readonly string[]
  readonly routes: readonly RouteRecord[]
}

const LINK_LOCAL6 = Prefix.parse('fe80::/10')

export async function describeDevice({ rtnl }: Namespace, link: Link): Promise<DeviceRecord> {
  const addresses = (await rtnl.listAddresses({ dev: link.index })).map(({ prefix }) => prefix)
  const routes = await rtnl.listRoutes({ dev: link.index, table: RT_TABLE_MAIN })
  return {
    name: link.name,
    mac: link.mac ?? '',
    alias: link.alias ?? '',
    up: link.up,
    addresses: addresses.filter(({ address }) => !LINK_LOCAL6.contains(address)).map(String),
    routes: routes
      .filter(({ connected, dst }) => !connected && !LINK_LOCAL6.contains(dst.address))
      .map(toRouteRecord)
      .sort((a, b) => Number(a.gateway !== undefined) - Number(b.gateway !== undefined)),
  }
}

/** On the node again: as it was, as far as it is not so yet. */
export async function restoreDevice({ rtnl }: Namespace, dev: IfIndex, device: DeviceRecord): Promise<void> {
  await rtnl.apply({ change: 'set link', link: dev, set: { alias: device.alias, up: device.up } })
  const changes: Change[] = [
    ...device.addresses.map((text): Change => {
      return { change: 'add address', address: { dev, prefix: Prefix.parse(text), noDad: true } }
    }),
    ...(device.up ? device.routes : []).map((route): Change => {
      return { change: 'add route', route: { ...fromRouteRecord(route), dev } }
    }),
  ]
  for (const change of changes) {
    await rtnl.apply(change).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error
    })
  }
}
