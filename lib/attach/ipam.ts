// The `ipam` section of the config, as ADD saw it: DEL releases the addresses by that, whatever the config says then.

import type { Request } from '../cni/request.ts'
import { findField, isObject } from '../cni/schema.ts'

export type IpamSection = Readonly<Record<string, unknown>>

export function ipamSection({ netconf }: Request): IpamSection {
  const section = findField(netconf, 'ipam')
  return isObject(section) ? section : {}
}

/**
 * @param plugin  the plugin that delegates
 * @returns '' for none, and for what cannot be one
 */
export function ipamType(section: IpamSection, plugin: string): string {
  const type = findField(section, 'type')
  return typeof type === 'string' && !isSelf(type, plugin) ? type : ''
}

/**
 * By its own name or by upstream's: as its own IPAM plugin it would call itself until memory or processes run out.
 */
export function isSelf(type: string, plugin: string): boolean {
  return type === plugin || `cni-${type}` === plugin
}

/** The request with another `ipam` section, for delegates too. */
export function withIpamSection(request: Request, section: IpamSection): Request {
  if (JSON.stringify(ipamSection(request)) === JSON.stringify(section)) return request
  const others = Object.entries(request.netconf).filter(([key]) => key.toLowerCase() !== 'ipam')
  const netconf = { ...Object.fromEntries(others), ipam: section }
  return { ...request, netconf, stdin: JSON.stringify(netconf) }
}
