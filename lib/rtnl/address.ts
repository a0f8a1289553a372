// Addresses of links (RTM_*ADDR, linux/if_addr.h).

import { type Family, IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import { type Operation, type Request, readKnown, request } from '../netlink/request.ts'
import { addressFamily, RTM_DELADDR, RTM_GETADDR, RTM_NEWADDR } from './attributes.ts'
import type { IfIndex } from './link.ts'

export const IFA_F_NODAD = 0x02
export const IFA_F_DADFAILED = 0x08
export const IFA_F_TENTATIVE = 0x40
const IFA_F_PERMANENT = 0x80
const IFA_F_NOPREFIXROUTE = 0x200

export interface LinkAddress {
  readonly dev: IfIndex
  /** With the length of its subnet: 10.1.0.5/24. */
  readonly prefix: Prefix
  /** IPv6: skip duplicate address detection, so that the address is usable at once. */
  readonly noDad?: boolean
  /** The kernel makes no route to the subnet for it. */
  readonly noPrefixRoute?: boolean
}

export interface LinkAddressState extends LinkAddress {
  /** 0 global, 253 link, 254 host (linux/rtnetlink.h). */
  readonly scope: number
  readonly permanent: boolean
  /** IPv6: still being checked for duplicates, or found to be one. */
  readonly tentative: boolean
  readonly dadFailed: boolean
}

export function addAddressRequest(address: LinkAddress, operation: Operation): Request {
  const { prefix } = address
  const bytes = prefix.address.toBytes()
  const flags =
    (address.noDad && prefix.family === 6 ? IFA_F_NODAD : 0) |
    (address.noPrefixRoute ? IFA_F_NOPREFIXROUTE : 0)
  const hasBroadcast = prefix.family === 4 && prefix.length < 31
  return request(RTM_NEWADDR, {
    flags: NLM_F_CREATE | NLM_F_EXCL,
    header: {
      ...addressHeader(address),
      ifa_flags: flags & 0xff,
    },
    attributes: {
      IFA_LOCAL: bytes,
      IFA_ADDRESS: bytes,
      IFA_FLAGS: flags > 0xff ? flags : undefined, // all of them: the header has room for eight
      IFA_BROADCAST: hasBroadcast ? prefix.last().toBytes() : undefined,
    },
    operation,
  })
}

export function deleteAddressRequest(address: LinkAddress, operation: Operation): Request {
  const bytes = address.prefix.address.toBytes()
  const attributes = { IFA_LOCAL: bytes, IFA_ADDRESS: bytes }
  return request(RTM_DELADDR, { header: addressHeader(address), attributes, operation })
}

function addressHeader({ dev, prefix }: LinkAddress) {
  return { ifa_family: addressFamily[prefix.family], ifa_prefixlen: prefix.length, ifa_index: dev }
}

export interface AddressFilter {
  readonly dev?: IfIndex
  readonly family?: Family
}

export function listAddressesRequest({ dev, family }: AddressFilter): Request {
  return request(RTM_GETADDR, {
    header: { ifa_family: family === undefined ? 0 : addressFamily[family], ifa_index: dev ?? 0 },
    operation: 'list addresses',
  })
}

/** @param payload  of an RTM_NEWADDR message. @returns undefined for families that are not IP */
export function readAddress(payload: Uint8Array): LinkAddressState | undefined {
  const { header, attributes: a } = readKnown(RTM_NEWADDR, payload)
  const bytes = a.IFA_LOCAL ?? a.IFA_ADDRESS
  if (bytes === undefined || (bytes.length !== 4 && bytes.length !== 16)) return undefined
  const flags = a.IFA_FLAGS ?? header.ifa_flags
  return {
    dev: header.ifa_index as IfIndex,
    prefix: Prefix.of(IpAddress.fromBytes(bytes), header.ifa_prefixlen),
    scope: header.ifa_scope,
    noDad: (flags & IFA_F_NODAD) !== 0,
    permanent: (flags & IFA_F_PERMANENT) !== 0,
    tentative: (flags & IFA_F_TENTATIVE) !== 0,
    dadFailed: (flags & IFA_F_DADFAILED) !== 0,
    ...((flags & IFA_F_NOPREFIXROUTE) === 0 ? {} : { noPrefixRoute: true }),
  }
}
