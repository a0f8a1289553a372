// Ethernet (EUI-48) addresses, IEEE 802.

import { AddressError, type IpAddress } from './address.ts'

declare const brand: unique symbol

/** `aa:bb:cc:dd:ee:ff`, lower case, always six octets. */
export type MacAddress = string & { readonly [brand]: 'MacAddress' }

const SEPARATED = /^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/
const DOTTED = /^[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}$/

const OCTETS = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, '0'))

/** Takes `aa:bb:cc:dd:ee:ff`, `aa-bb-…` and `aabb.ccdd.eeff`, in any case. @throws AddressError */
export function parseMac(text: string): MacAddress {
  const lower = text.toLowerCase()
  if (!SEPARATED.test(lower) && !DOTTED.test(lower)) throw new AddressError('MAC address', text)
  return (lower.match(/[0-9a-f]{2}/g) ?? []).join(':') as MacAddress
}

/** @param bytes  six octets; anything else (a tunnel's address, none) is no MAC: RangeError */
export function macFromBytes(bytes: Uint8Array): MacAddress {
  if (bytes.length !== 6) throw new RangeError(`${bytes.length} bytes are no MAC address`)
  let text = ''
  for (const byte of bytes) text += text === '' ? OCTETS[byte] : `:${OCTETS[byte]}`
  return text as MacAddress
}

export function macToBytes(mac: MacAddress): Uint8Array {
  const bytes = new Uint8Array(6)
  for (let i = 0; i < 6; i++) bytes[i] = Number.parseInt(mac.slice(3 * i, 3 * i + 2), 16)
  return bytes
}

/**
 * The MAC of a pod that has this address: `0a:58` and the IPv4 address, or 32 bits of a digest of the IPv6 address.
 *
 * The same address always has the same MAC, so that a neighbour that still remembers the last holder of a
 * reused address is right about the new one. Locally administered, unicast.
 */
export function macForAddress(address: IpAddress): MacAddress {
  const bytes = address.toBytes()
  return macFromBytes(Uint8Array.of(0x0a, 0x58, ...(address.family === 4 ? bytes : digest32(bytes))))
}

/** FNV-1a: two subnets on one bridge may number their pods alike, so the last bits are not enough. */
function digest32(bytes: Uint8Array): Uint8Array {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return Uint8Array.of(hash >>> 24, hash >>> 16, hash >>> 8, hash)
}

/** A locally administered unicast MAC from six random octets. */
export function macFromRandom(octets: Uint8Array): MacAddress {
  const bytes = Uint8Array.from(octets)
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02
  return macFromBytes(bytes)
}
