// What the records of attachments have in common, whichever plugin wrote them: fields of one name mean one thing. What
// is of another type is left out.

import { isObject } from '../../lib/cni/schema.ts'
import type { Protocol } from '../../lib/hostport/hostport.ts'

export interface RecordFields {
  readonly bridge?: string
  /** The node's end of the pod's wire. */
  readonly hostIfname?: string
  readonly hostMac?: string
  readonly podMac?: string
  readonly mtu?: number
  readonly hairpin?: boolean
  readonly isolated?: boolean
  readonly ips: readonly RecordedIp[]
  /** On the node: the pod's next hops. */
  readonly gateways: readonly string[]
  readonly routes: readonly RecordedRoute[]
  readonly masquerade: readonly RecordedMasquerade[]
  readonly hostports: readonly RecordedHostport[]
  /** The `ipam` section that the addresses came by. */
  readonly ipam?: Readonly<Record<string, unknown>>
}

export interface RecordedIp {
  /** With the length of its subnet. */
  readonly address: string
  readonly gateway?: string
}

export interface RecordedRoute {
  readonly dst: string
  readonly gw?: string
}

export interface RecordedMasquerade {
  readonly address: string
  readonly subnet: string
}

export interface RecordedHostport {
  readonly protocol: Protocol
  readonly port: number
  readonly hostIp?: string
  /** The pod's. */
  readonly address: string
  readonly podPort: number
}

export function recordFields(record: unknown): RecordFields {
  const fields = isObject(record) ? record : {}
  return {
    ...pick(fields, 'string', ['bridge', 'hostIfname', 'hostMac', 'podMac']),
    ...pick(fields, 'number', ['mtu']),
    ...pick(fields, 'boolean', ['hairpin', 'isolated']),
    ips: listWith<RecordedIp>(fields['ips'], ['address']),
    gateways: list(fields['gateways']).filter((one) => typeof one === 'string'),
    routes: listWith<RecordedRoute>(fields['routes'], ['dst']),
    masquerade: listWith<RecordedMasquerade>(fields['masquerade'], ['address', 'subnet']),
    hostports: listWith<RecordedHostport>(fields['hostports'], ['protocol', 'address']),
    ...(isObject(fields['ipam']) ? { ipam: fields['ipam'] } : {}),
  }
}

function pick(fields: object, type: string, names: readonly string[]): object {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => names.includes(name) && typeof value === type),
  )
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

/** The objects that have these texts. */
function listWith<T>(value: unknown, names: readonly (keyof T & string)[]): T[] {
  const isWhole = (one: unknown) => isObject(one) && names.every((name) => typeof one[name] === 'string')
  return list(value).filter(isWhole) as T[]
}
