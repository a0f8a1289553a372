// Statements: what a rule is written with. Each has its text in nft and the expressions that nft makes of it.

import type { Family, IpAddress } from '../ip/address.ts'
import type { NftChain } from './chain.ts'
import { DATA_TYPES, formatSpan, parseSpan, registerBytes } from './data-types.ts'
import {
  bitwise,
  compare,
  type Expression,
  expression,
  immediate,
  NFT_REG_VERDICT,
  registerAt,
} from './expression.ts'
import { type Field, loadCt, metaMark, type Requirement, setMetaMark } from './field.ts'
import { NFPROTO } from './messages.ts'
import type { NftMap, NftSet } from './set.ts'
import { parseVerdict } from './verdict.ts'

export interface NftStatement {
  readonly text: string
  /** In order; every one is made sure of once in a rule, before the first statement that needs it. */
  readonly requires: readonly Requirement[]
  readonly expressions: readonly Expression[]
  /** For the rules of what may be deleted: what this refers to by name. */
  readonly refersTo?: { readonly set?: string; readonly chain?: string }
}

function requirementsOf(fields: readonly Field[]): Requirement[] {
  return fields.flatMap((field) => field.requires ?? [])
}

/** Several fields go into registers side by side: a concatenated key. */
function loadAll(fields: readonly Field[]): Expression[] {
  let offset = 0
  return fields.map((field) => {
    const load = field.load(registerAt(offset))
    offset += registerBytes(field.type)
    return load
  })
}

function fieldsText(fields: readonly Field[]): string {
  return fields.map((field) => field.text).join(' . ')
}

const NFT_LOOKUP_F_INV = 1

/** `ip saddr . ip daddr @name` */
export function inSet(fields: readonly Field[], set: NftSet): NftStatement {
  const lookup = expression('lookup', { NFTA_LOOKUP_SREG: 1, NFTA_LOOKUP_SET: set.name })
  return lookupStatement(fields, `@${set.name}`, set, lookup)
}

/** `ip saddr != @name` */
export function notInSet(fields: readonly Field[], set: NftSet): NftStatement {
  const lookup = expression('lookup', {
    NFTA_LOOKUP_SREG: 1,
    NFTA_LOOKUP_SET: set.name,
    NFTA_LOOKUP_FLAGS: NFT_LOOKUP_F_INV,
  })
  return lookupStatement(fields, `!= @${set.name}`, set, lookup)
}

/** `ip saddr vmap @name`: what the map says becomes of the packet; the next rule when the key is not there. */
export function verdictMap(fields: readonly Field[], map: NftMap): NftStatement {
  const lookup = expression('lookup', {
    NFTA_LOOKUP_SREG: 1,
    NFTA_LOOKUP_DREG: NFT_REG_VERDICT,
    NFTA_LOOKUP_SET: map.name,
  })
  return lookupStatement(fields, `vmap @${map.name}`, map, lookup)
}

function lookupStatement(
  fields: readonly Field[],
  tail: string,
  set: NftSet,
  lookup: Expression,
): NftStatement {
  return {
    text: `${fieldsText(fields)} ${tail}`,
    requires: requirementsOf(fields),
    expressions: [...loadAll(fields), lookup],
    refersTo: { set: set.name },
  }
}

/** `ip daddr 10.1.0.0/24`, `tcp dport 80`, `iifname "eth0"`. @throws Error when the value is none of the field's type */
export function equals(field: Field, value: string): NftStatement {
  return comparison(field, value, 'eq')
}

/** `ip daddr != 10.1.0.0/24` */
export function notEquals(field: Field, value: string): NftStatement {
  return comparison(field, value, 'neq')
}

function comparison(field: Field, value: string, op: 'eq' | 'neq'): NftStatement {
  const { first, last } = parseSpan([field.type], [value])
  const text = formatSpan([field.type], { first, last })[0] ?? value
  return {
    text: `${field.text} ${op === 'neq' ? '!= ' : ''}${text}`,
    requires: requirementsOf([field]),
    expressions: [...loadPrefix(field, first, last), compare(op, significantBytes(first, last))],
  }
}

/** Bits in which the first and the last value of a prefix differ do not count. */
function maskOf(first: Uint8Array, last: Uint8Array): Uint8Array {
  return first.map((byte, i) => ~(byte ^ (last[i] ?? 0)) & 0xff)
}

/** As nft does: of a prefix of whole bytes only those are loaded, of others all, masked. */
function loadPrefix(field: Field, first: Uint8Array, last: Uint8Array): Expression[] {
  const mask = maskOf(first, last)
  const whole = wholeBytes(mask)
  if (whole === mask.length) return [field.load(1)]
  return whole > 0 ? [field.load(1, whole)] : [field.load(1), bitwise(mask)]
}

function significantBytes(first: Uint8Array, last: Uint8Array): Uint8Array {
  return first.subarray(0, wholeBytes(maskOf(first, last)) || first.length)
}

/** How many bytes a mask of whole bytes has; 0 for one that ends inside a byte, or is empty. */
function wholeBytes(mask: Uint8Array): number {
  const ones = mask.findIndex((byte) => byte !== 0xff)
  if (ones < 0) return mask.length
  return mask[ones] === 0 ? ones : 0
}

/** `tcp dport 1000-2000`, both ends included. */
export function inRange(field: Field, from: string, to: string): NftStatement {
  const { parse, format } = DATA_TYPES[field.type]
  const [first, last] = [parse(from), parse(to)]
  return {
    text: `${field.text} ${format(first)}-${format(last)}`,
    requires: requirementsOf([field]),
    expressions: [field.load(1), compare('gte', first), compare('lte', last)],
  }
}

/** linux/netfilter/nf_conntrack_common.h: `1 << (state + 1)`, and the bits of a status. */
const CT_STATES = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const
const CT_STATUS = { snat: 16, dnat: 32 } as const

/** `ct state established,related`: one of them. */
export function ctState(...states: (keyof typeof CT_STATES)[]): NftStatement {
  return anyCtBit('state', states, CT_STATES)
}

/** `ct status snat,dnat`: one of them */
export function ctStatus(...statuses: (keyof typeof CT_STATUS)[]): NftStatement {
  return anyCtBit('status', statuses, CT_STATUS)
}

function anyCtBit<Word extends string>(
  key: 'state' | 'status',
  words: readonly Word[],
  numbers: Readonly<Record<Word, number>>,
): NftStatement {
  const bits = words.reduce((all, word) => all | numbers[word], 0)
  const none = new Uint8Array(4)
  return {
    text: `ct ${key} ${words.join(',')}`,
    requires: [],
    expressions: [loadCt(key), bitwise(hostU32(bits)), compare('neq', none)],
  }
}

function hostU32(n: number): Uint8Array {
  return Uint8Array.of(n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24)
}

const NFT_FIB_RESULT_ADDRTYPE = 3
const NFTA_FIB_F = { saddr: 1, daddr: 2 } as const
/** RTN_* of linux/rtnetlink.h. */
const ADDRESS_TYPES = { unicast: 1, local: 2, broadcast: 3, multicast: 5 } as const

/** `fib daddr type local`: what the node's routing says the address is. */
export function fibType(which: keyof typeof NFTA_FIB_F, type: keyof typeof ADDRESS_TYPES): NftStatement {
  const load = expression('fib', {
    NFTA_FIB_DREG: 1,
    NFTA_FIB_RESULT: NFT_FIB_RESULT_ADDRTYPE,
    NFTA_FIB_FLAGS: NFTA_FIB_F[which],
  })
  const compareType = compare('eq', hostU32(ADDRESS_TYPES[type]))
  return { text: `fib ${which} type ${type}`, requires: [], expressions: [load, compareType] }
}

/** `meta mark & 0x00004000 == 0x00004000` */
export function hasMark(bits: number): NftStatement {
  const value = hostU32(bits)
  const hex = DATA_TYPES.mark.format(value)
  const expressions = [metaMark.load(1), bitwise(value), compare('eq', value)]
  return { text: `meta mark & ${hex} == ${hex}`, requires: [], expressions }
}

/** `meta mark set meta mark | 0x00004000` */
export function setMark(bits: number): NftStatement {
  const value = hostU32(bits)
  const expressions = [metaMark.load(1), bitwise(hostU32(~bits), value), setMetaMark()]
  return { text: `meta mark set meta mark | ${DATA_TYPES.mark.format(value)}`, requires: [], expressions }
}

/** `meta mark set meta mark & 0xffffbfff`: the bits are taken away */
export function clearMark(bits: number): NftStatement {
  const rest = hostU32(~bits)
  const expressions = [metaMark.load(1), bitwise(rest), setMetaMark()]
  return { text: `meta mark set meta mark & ${DATA_TYPES.mark.format(rest)}`, requires: [], expressions }
}

export const counter: NftStatement = {
  text: 'counter',
  requires: [],
  expressions: [expression('counter', {})],
}

/** The packet leaves under the address of the link it leaves by. */
export const masquerade: NftStatement = {
  text: 'masquerade',
  requires: [],
  expressions: [expression('masq', {})],
}

function verdict(text: string): NftStatement {
  const data = { NFTA_DATA_VERDICT: parseVerdict(text) }
  const expressions = [
    expression('immediate', { NFTA_IMMEDIATE_DREG: NFT_REG_VERDICT, NFTA_IMMEDIATE_DATA: data }),
  ]
  return { text, requires: [], expressions }
}

export const accept: NftStatement = verdict('accept')
export const drop: NftStatement = verdict('drop')
/** Back to the rule after the one that jumped here; from a base chain: its policy. */
export const returnVerdict: NftStatement = verdict('return')

export function jump(chain: NftChain): NftStatement {
  return { ...verdict(`jump ${chain.name}`), refersTo: { chain: chain.name } }
}

export function goto(chain: NftChain): NftStatement {
  return { ...verdict(`goto ${chain.name}`), refersTo: { chain: chain.name } }
}

const NFT_NAT_DNAT = 1

/** `dnat ip to 10.1.0.5:8080` */
export function dnatTo(address: IpAddress, port?: number): NftStatement {
  const { word } = NAT[address.family]
  const host = address.family === 6 && port !== undefined ? `[${address}]` : String(address)
  const portBytes = port === undefined ? undefined : DATA_TYPES.inet_service.parse(String(port))
  const expressions = [
    immediate(registerAt(0), address.toBytes()),
    ...(portBytes === undefined ? [] : [immediate(2, portBytes)]),
    dnatExpression(address.family, portBytes === undefined ? undefined : 2),
  ]
  return {
    text: `dnat ${word} to ${host}${port === undefined ? '' : `:${port}`}`,
    requires: [],
    expressions,
  }
}

/** `dnat ip to meta l4proto . th dport map @name`: address and port from a map, by the fields. */
export function dnatToMap(family: Family, fields: readonly Field[], map: NftMap): NftStatement {
  const [addressType = 'ipv4_addr', portType] = map.value === 'verdict' ? [] : map.value
  const lookup = expression('lookup', { NFTA_LOOKUP_SREG: 1, NFTA_LOOKUP_DREG: 1, NFTA_LOOKUP_SET: map.name })
  const portRegister = portType === undefined ? undefined : registerAt(registerBytes(addressType))
  return {
    text: `dnat ${NAT[family].word} to ${fieldsText(fields)} map @${map.name}`,
    requires: requirementsOf(fields),
    expressions: [...loadAll(fields), lookup, dnatExpression(family, portRegister)],
    refersTo: { set: map.name },
  }
}

/** The kernel itself passes over packets of the other family. */
const NAT = {
  4: { word: 'ip', nfproto: NFPROTO.ip },
  6: { word: 'ip6', nfproto: NFPROTO.ip6 },
} as const

function dnatExpression(family: Family, portRegister: number | undefined): Expression {
  return expression('nat', {
    NFTA_NAT_TYPE: NFT_NAT_DNAT,
    NFTA_NAT_FAMILY: NAT[family].nfproto,
    NFTA_NAT_REG_ADDR_MIN: 1,
    NFTA_NAT_REG_PROTO_MIN: portRegister,
  })
}
