// The `ipam` section of the config, as ADD saw it: DEL releases the addresses by that, whatever the config says then.

import type { Request } from '../../lib/cni/request.ts'
import { findField, isObject } from '../../lib/cni/schema.ts'

type Section = Readonly<Record<string, unknown>>

export function ipamSection({ netconf }: Request): Section {
  const section = findField(netconf, 'ipam')
  return isObject(section) ? section : {}
}

/** @returns '' for none, and for what cannot be one */
export function ipamType(section: Section): string {
  const type = findField(section, 'type')
  return typeof type === 'string' && !isSelf(type) ? type : ''
}

/** By any of its names: as its own IPAM plugin it would call itself until memory or processes run out. */
export function isSelf(type: string): boolean {
  return type === 'cni-bridge' || type === 'bridge'
}

/** The request with another `ipam` section, for delegates too. */
export function withIpamSection(request: Request, section: Section): Request {
  if (JSON.stringify(ipamSection(request)) === JSON.stringify(section)) return request
  const others = Object.entries(request.netconf).filter(([key]) => key.toLowerCase() !== 'ipam')
  const netconf = { ...Object.fromEntries(others), ipam: section }
  return { ...request, netconf, stdin: JSON.stringify(netconf) }
}
