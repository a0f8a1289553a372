// An address with the length of its network's prefix (CIDR, RFC 4632): 10.1.0.5/24, fd00::5/64.

import { ADDRESS_BITS, AddressError, type Family, IpAddress } from './address.ts'

export class Prefix {
  /** As written: the prefix 10.1.0.5/24 keeps the 5. `masked()` drops it. */
  readonly address: IpAddress
  /** Bits of the network part: 0 to 32 (IPv4) or 128 (IPv6). */
  readonly length: number

  private constructor(address: IpAddress, length: number) {
    this.address = address
    this.length = length
  }

  /**
   * Stricter than Go's net.ParseCIDR: no leading zeros in the length, no IPv4-mapped addresses, of which the length
   * would count bits that the address does not have.
   *
   * @throws AddressError when the text is not `address/length`
   */
  static parse(text: string): Prefix {
    const [address = '', length = '', ...rest] = text.split('/')
    if (rest.length > 0 || !/^(?:0|[1-9][0-9]{0,2})$/.test(length))
      throw new AddressError('CIDR address', text)
    try {
      const parsed = IpAddress.parse(address)
      if (parsed.family === 4 && address.includes(':')) throw new AddressError('CIDR address', text)
      return Prefix.of(parsed, Number(length))
    } catch (cause) {
      if (cause instanceof AddressError || cause instanceof RangeError)
        throw new AddressError('CIDR address', text)
      throw cause
    }
  }

  /** @throws RangeError when the length is not one of the family's */
  static of(address: IpAddress, length: number): Prefix {
    if (!Number.isInteger(length) || length < 0 || length > ADDRESS_BITS[address.family]) {
      throw new RangeError(`/${length} is no IPv${address.family} prefix length`)
    }
    return new Prefix(address, length)
  }

  /** The prefix that holds one address only: /32 or /128. */
  static host(address: IpAddress): Prefix {
    return new Prefix(address, ADDRESS_BITS[address.family])
  }

  get family(): Family {
    return this.address.family
  }

  get #hostMask(): bigint {
    return (1n << BigInt(ADDRESS_BITS[this.family] - this.length)) - 1n
  }

  /** The network address: 10.1.0.0 of 10.1.0.5/24. */
  first(): IpAddress {
    return IpAddress.of(this.family, this.address.value & ~this.#hostMask)
  }

  /** The last address; for IPv4 the broadcast address of prefixes up to /30. */
  last(): IpAddress {
    return IpAddress.of(this.family, this.address.value | this.#hostMask)
  }

  masked(): Prefix {
    return new Prefix(this.first(), this.length)
  }

  hasHostBits(): boolean {
    return (this.address.value & this.#hostMask) !== 0n
  }

  contains(address: IpAddress): boolean {
    return address.family === this.family && (address.value & ~this.#hostMask) === this.first().value
  }

  overlaps(other: Prefix): boolean {
    return this.contains(other.first()) || other.contains(this.first())
  }

  /** Same address and same length; compare `masked()` prefixes to compare networks. */
  equals(other: Prefix): boolean {
    return this.length === other.length && this.address.equals(other.address)
  }

  toString(): string {
    return `${this.address}/${this.length}`
  }
}
