// IP addresses as values: a family and a number (RFC 791, RFC 4291; text after RFC 5952).
//
// Parsing is ours because it runs in every call: importing ip-num costs 15–20 ms (docs/adr/0002-ip-num.md).
// What ip-num knows better, why a text is no address, it is asked when there is an error to explain.

export type Family = 4 | 6

/** A text that is no address, prefix or MAC. `subject` is the text as given. */
export class AddressError extends Error {
  readonly code = 'EINVALIDADDRESS'
  readonly subject: string

  constructor(what: string, subject: string) {
    super(`invalid ${what} ${JSON.stringify(subject)}`)
    this.name = 'AddressError'
    this.subject = subject
  }
}

export const ADDRESS_BITS = { 4: 32, 6: 128 } as const

const OCTET = /^(?:0|[1-9][0-9]{0,2})$/
const HEXTET = /^[0-9a-fA-F]{1,4}$/

export class IpAddress {
  readonly family: Family
  /** The address as an unsigned number: 32 bits for IPv4, 128 for IPv6. */
  readonly value: bigint

  private constructor(family: Family, value: bigint) {
    this.family = family
    this.value = value
  }

  /**
   * @throws AddressError for anything Go's `net.ParseIP` refuses: zones, leading zeros, white space
   *
   * An IPv4-mapped IPv6 text (`::ffff:10.0.0.1`) is the IPv4 address, as it is in Go.
   */
  static parse(text: string): IpAddress {
    const value = text.includes(':') ? parseIpv6(text) : parseIpv4(text)
    if (value === undefined) throw new AddressError('IP address', text)
    if (!text.includes(':')) return new IpAddress(4, value)
    return value >> 32n === 0xffffn ? new IpAddress(4, value & 0xffffffffn) : new IpAddress(6, value)
  }

  /** @throws RangeError when the value does not fit the family */
  static of(family: Family, value: bigint): IpAddress {
    if (value < 0n || value >> BigInt(ADDRESS_BITS[family]) !== 0n) {
      throw new RangeError(`${value} is no IPv${family} address`)
    }
    return new IpAddress(family, value)
  }

  /** @param bytes  4 (IPv4) or 16 (IPv6) bytes in network order */
  static fromBytes(bytes: Uint8Array): IpAddress {
    if (bytes.length !== 4 && bytes.length !== 16)
      throw new RangeError(`${bytes.length} bytes are no IP address`)
    let value = 0n
    for (const byte of bytes) value = (value << 8n) | BigInt(byte)
    return new IpAddress(bytes.length === 4 ? 4 : 6, value)
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(ADDRESS_BITS[this.family] / 8)
    let rest = this.value
    for (let i = bytes.length - 1; i >= 0; i--) {
      bytes[i] = Number(rest & 0xffn)
      rest >>= 8n
    }
    return bytes
  }

  /** @throws RangeError beyond the first or last address of the family */
  plus(distance: bigint): IpAddress {
    return IpAddress.of(this.family, this.value + distance)
  }

  /** IPv4 sorts before IPv6. */
  compare(other: IpAddress): -1 | 0 | 1 {
    if (this.family !== other.family) return this.family < other.family ? -1 : 1
    return this.value < other.value ? -1 : this.value > other.value ? 1 : 0
  }

  equals(other: IpAddress): boolean {
    return this.compare(other) === 0
  }

  toString(): string {
    return this.family === 4 ? formatIpv4(this.value) : formatIpv6(this.value)
  }
}

function parseIpv4(text: string): bigint | undefined {
  const octets = text.split('.')
  if (octets.length !== 4) return undefined
  let value = 0
  for (const octet of octets) {
    const number = Number(octet)
    if (!OCTET.test(octet) || number > 255) return undefined
    value = value * 256 + number
  }
  return BigInt(value)
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseHextets(halves[0] ?? '', halves.length === 1)
  const tail = parseHextets(halves[1] ?? '', true)
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  let value = 0n
  for (const hextet of [...head, ...new Array<number>(missing).fill(0), ...tail]) {
    value = (value << 16n) | BigInt(hextet)
  }
  return value
}

/** `a:b:c` or, at the end of an address, `a:b:10.0.0.1`. */
function parseHextets(text: string, last: boolean): number[] | undefined {
  if (text === '') return []
  const groups = text.split(':')
  const hextets: number[] = []
  for (const [i, group] of groups.entries()) {
    if (last && i === groups.length - 1 && group.includes('.')) {
      const ipv4 = parseIpv4(group)
      if (ipv4 === undefined) return undefined
      hextets.push(Number(ipv4 >> 16n), Number(ipv4 & 0xffffn))
    } else {
      if (!HEXTET.test(group)) return undefined
      hextets.push(Number.parseInt(group, 16))
    }
  }
  return hextets
}

function formatIpv4(value: bigint): string {
  const n = Number(value)
  return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function formatIpv6(value: bigint): string {
  if (value >> 32n === 0xffffn) return `::ffff:${formatIpv4(value & 0xffffffffn)}`
  const groups: number[] = []
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn))
  const run = longestZeroRun(groups)
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':')
  if (run.length < 2) return hex(groups)
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let length = 0
  for (const [i, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0
    if (length > best.length) best = { start: i - length + 1, length }
  }
  return best
}
