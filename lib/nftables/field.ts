// Fields: what a rule can look at. Each loads itself into a register, and knows its type and its text in nft.

import type { Family } from '../ip/address.ts'
import type { DataTypeName } from './data-types.ts'
import { compare, type Expression, expression } from './expression.ts'
import type { NftFamily } from './messages.ts'

/** What must be known of the packet before a field of it means anything. nft leaves it out of the text. */
export type Requirement = 'ipv4' | 'ipv6' | 'tcp' | 'udp' | 'sctp'

export interface Field {
  readonly text: string
  readonly type: DataTypeName
  readonly requires?: Requirement
  /** @param length  the first bytes only, of a field that lies in the packet */
  load(register: number, length?: number): Expression
}

/** NFTA_PAYLOAD_BASE (enum nft_payload_bases). */
const LINK_LAYER_HEADER = 0
const NETWORK_HEADER = 1
const TRANSPORT_HEADER = 2
/** NFTA_META_KEY (enum nft_meta_keys). */
export const META = {
  protocol: 1,
  mark: 3,
  iif: 4,
  oif: 5,
  iifname: 6,
  oifname: 7,
  nfproto: 15,
  l4proto: 16,
} as const
/** NFTA_CT_KEY (enum nft_ct_keys). */
export const CT = { state: 0, status: 2, mark: 3 } as const
const L4PROTO = { tcp: 6, udp: 17, sctp: 132 } as const

interface HeaderPlace {
  readonly base: number
  readonly offset: number
  readonly bytes: number
}

function headerField(about: Omit<Field, 'load'>, { base, offset, bytes }: HeaderPlace): Field {
  return {
    ...about,
    load: (register, length = bytes) =>
      expression('payload', {
        NFTA_PAYLOAD_DREG: register,
        NFTA_PAYLOAD_BASE: base,
        NFTA_PAYLOAD_OFFSET: offset,
        NFTA_PAYLOAD_LEN: length,
      }),
  }
}

function loadMeta(key: number, register: number): Expression {
  return expression('meta', { NFTA_META_KEY: key, NFTA_META_DREG: register })
}

function metaField(text: string, type: DataTypeName, key: number): Field {
  return { text, type, load: (register) => loadMeta(key, register) }
}

/** Where the addresses lie: RFC 791 and RFC 8200. */
const IP = {
  4: { word: 'ip', type: 'ipv4_addr', requires: 'ipv4', saddr: 12, daddr: 16, bytes: 4 },
  6: { word: 'ip6', type: 'ipv6_addr', requires: 'ipv6', saddr: 8, daddr: 24, bytes: 16 },
} as const

function addressField(family: Family, which: 'saddr' | 'daddr'): Field {
  const { word, type, requires, bytes, [which]: offset } = IP[family]
  return headerField({ text: `${word} ${which}`, type, requires }, { base: NETWORK_HEADER, offset, bytes })
}

export const saddr = (family: Family): Field => addressField(family, 'saddr')
export const daddr = (family: Family): Field => addressField(family, 'daddr')

/** The frame's source MAC: after its destination (IEEE 802.3). For tables of the bridge family. */
export const etherSaddr: Field = headerField(
  { text: 'ether saddr', type: 'ether_addr' },
  { base: LINK_LAYER_HEADER, offset: 6, bytes: 6 },
)

/** `tcp dport`; `th dport` is that of whatever transport the packet has. */
export function dport(protocol: 'tcp' | 'udp' | 'sctp' | 'th'): Field {
  const requires = protocol === 'th' ? {} : { requires: protocol }
  const place = { base: TRANSPORT_HEADER, offset: 2, bytes: 2 }
  return headerField({ text: `${protocol} dport`, type: 'inet_service', ...requires }, place)
}

export const l4proto: Field = metaField('meta l4proto', 'inet_proto', META.l4proto)
export const iifname: Field = metaField('iifname', 'ifname', META.iifname)
export const oifname: Field = metaField('oifname', 'ifname', META.oifname)
export const metaMark: Field = metaField('meta mark', 'mark', META.mark)

export function loadCt(key: keyof typeof CT): Expression {
  return expression('ct', { NFTA_CT_KEY: CT[key], NFTA_CT_DREG: 1 })
}

export function setMetaMark(): Expression {
  return expression('meta', { NFTA_META_KEY: META.mark, NFTA_META_SREG: 1 })
}

/** The matches that make sure of a requirement: none where the table's family says it already. */
export function requirementExpressions(family: NftFamily, requirement: Requirement): Expression[] {
  if (requirement === 'ipv4' || requirement === 'ipv6') return networkProtocol(family, requirement)
  return [loadMeta(META.l4proto, 1), compare('eq', Uint8Array.of(L4PROTO[requirement]))]
}

function networkProtocol(family: NftFamily, requirement: 'ipv4' | 'ipv6'): Expression[] {
  if (family === 'ip' || family === 'ip6') return []
  if (family === 'inet') {
    const nfproto = requirement === 'ipv4' ? 2 : 10
    return [loadMeta(META.nfproto, 1), compare('eq', Uint8Array.of(nfproto))]
  }
  const ethertype = requirement === 'ipv4' ? Uint8Array.of(0x08, 0x00) : Uint8Array.of(0x86, 0xdd)
  return [loadMeta(META.protocol, 1), compare('eq', ethertype)]
}
