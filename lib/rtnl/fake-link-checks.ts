// What the fake kernel refuses of a link that is made or changed, whatever its kind (net/core/dev.c, rtnetlink.c).

import { type MacAddress, macToBytes } from '../ip/mac.ts'
import { FakeRefusal } from './fake-refusal.ts'
import type { IfName } from './link.ts'

export const MIN_MTU = 68
export const MAX_MTU = 65535
export const POLICY = 'Attribute failed policy validation'
export const NO_MAC = '00:00:00:00:00:00' as MacAddress

interface Basics {
  readonly name: IfName
  readonly mac?: MacAddress | undefined
  readonly mtu?: number | undefined
}

export function given({ mac, mtu }: Omit<Basics, 'name'>): { mac?: MacAddress; mtu?: number } {
  return { ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) }
}

export function checkNew({ name, mac, mtu }: Basics): void {
  checkName(name)
  if (mac !== undefined) checkMac(mac)
  if (mtu !== undefined && (mtu < MIN_MTU || mtu > MAX_MTU)) throw new FakeRefusal('EINVAL')
}

export function checkNameLength(name: IfName): void {
  if (Buffer.byteLength(name) > 15)
    throw new FakeRefusal('ERANGE', { text: POLICY, attribute: 'IFLA_IFNAME' })
}

/** dev_valid_name */
export function checkName(name: IfName): void {
  if (name === '' || name === '.' || name === '..' || /[/:\s]/.test(name)) throw new FakeRefusal('EINVAL')
}

export function checkMac(mac: MacAddress): void {
  const isMulticast = ((macToBytes(mac)[0] ?? 0) & 1) === 1
  if (isMulticast || mac === NO_MAC) throw new FakeRefusal('EADDRNOTAVAIL')
}
