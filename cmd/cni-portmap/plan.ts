// From mappings and the pod's addresses to host ports: pure.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Result, ResultIp } from '../../lib/cni/result.ts'
import {
  type Hostport,
  type HostportMasquerade,
  type Hostports,
  hostportText,
} from '../../lib/hostport/hostport.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import type { PortMapping, PortmapNetconf } from './netconf.ts'

/** @throws CniError 7 when one port is mapped twice */
export function planHostports(
  { snat, masqAll, mappings }: PortmapNetconf,
  prevResult: Result,
  ifname: string,
): Hostports {
  const addresses = podAddresses(prevResult, ifname)
  const hostports = addresses.flatMap(({ address }) =>
    mappings
      .filter(({ hostIp }) => hostIp === undefined || hostIp.family === address.family)
      .map((mapping) => hostportOf(mapping, address)),
  )
  const used = new Set(hostports.map(({ address }) => address.toString()))
  const masquerades = addresses
    .filter(({ address }) => snat && used.has(address.toString()))
    .map(
      (prefix): HostportMasquerade => ({
        address: prefix.address,
        from: masqAll ? 'any' : prefix.masked(),
      }),
    )
  return { hostports: distinct(hostports), masquerades }
}

/** Of each family the first, as upstream has it, of this interface where the result says of which it is. */
function podAddresses({ interfaces = [], ips = [] }: Result, ifname: string): Prefix[] {
  const isOurs = ({ interface: index }: ResultIp) => {
    const link = index === undefined ? undefined : interfaces[index]
    return link === undefined || (link.name === ifname && (link.sandbox ?? '') !== '')
  }
  const prefixes = ips.filter(isOurs).map(({ address }) => Prefix.parse(address))
  return ([4, 6] as const).flatMap((family) => prefixes.find((prefix) => prefix.family === family) ?? [])
}

function hostportOf(
  { protocol, hostPort, containerPort, hostIp }: PortMapping,
  address: Hostport['address'],
): Hostport {
  const on = hostIp === undefined || hostIp.value === 0n ? {} : { hostIp }
  return { protocol, port: hostPort, ...on, address, podPort: containerPort }
}

/** The same twice is fine; of two pod ports for one host port no choice is made. */
function distinct(hostports: readonly Hostport[]): Hostport[] {
  const byKey = new Map<string, Hostport>()
  for (const one of hostports) {
    const key = `${hostportText(one)} ${one.address.family}`
    const earlier = byKey.get(key)
    if (earlier !== undefined && earlier.podPort !== one.podPort) {
      throw new CniError(
        CNI_CODE.invalidNetconf,
        `host port ${hostportText(one)} is mapped to two ports of the pod: ${earlier.podPort} and ${one.podPort}`,
      )
    }
    byKey.set(key, earlier ?? one)
  }
  return [...byKey.values()]
}
