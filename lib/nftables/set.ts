// Sets and maps (NFT_MSG_*SET): keys, and for a map a value to each, that rules look up.
//
// Without intervals a set is a hash table: adding and looking up cost the same however many elements there are.
// With intervals it is a tree, or for concatenated keys a `pipapo`, of which the kernel copies the whole for
// every change.

import { readPayload } from '../netlink/request.ts'
import { concatBytes, concatTypeId, DATA_TYPES, type DataTypeName, typesOfId } from './data-types.ts'
import { MESSAGES } from './messages.ts'
import { type NftTable, tableName } from './table.ts'
import { encodeComment, encodeUserdata, readComment, UDATA, type Userdata } from './userdata.ts'

const FLAGS = { constant: 0x02, interval: 0x04, timeout: 0x10, dynamic: 0x20 } as const
export type SetFlag = keyof typeof FLAGS
const NFT_SET_MAP = 0x08
const NFT_SET_CONCAT = 0x80
const NFT_DATA_VERDICT = 0xffffff00

export interface NftSet {
  readonly table: NftTable
  readonly name: string
  /** Of the key; several are concatenated. */
  readonly type: readonly DataTypeName[]
  readonly flags?: readonly SetFlag[]
  /** Elements go after this time, in ms, unless they say otherwise. */
  readonly timeoutMs?: number
  /** Most elements. */
  readonly size?: number
  readonly comment?: string
}

export interface NftMap extends NftSet {
  /** Of the value. */
  readonly value: readonly DataTypeName[] | 'verdict'
}

export function isMap(set: NftSet | NftMap): set is NftMap {
  return 'value' in set
}

/** An element is a range in every field. */
export function isInterval(set: NftSet): boolean {
  return set.flags?.includes('interval') ?? false
}

/** `inet podwire masquerade_ipv4` */
export function setName({ table, name }: NftSet): string {
  return `${tableName(table)} ${name}`
}

/** The statements inside the braces of a set's text, without its elements. */
export function setLines(set: NftSet | NftMap): string[] {
  const value = !isMap(set) ? '' : ` : ${set.value === 'verdict' ? 'verdict' : set.value.join(' . ')}`
  // nft leaves the flag out where a timeout says the same.
  const flags = set.flags?.filter((flag) => flag !== 'timeout' || set.timeoutMs === undefined) ?? []
  return [
    `type ${set.type.join(' . ')}${value}`,
    ...(set.size === undefined ? [] : [`size ${set.size}`]),
    ...(flags.length === 0 ? [] : [`flags ${flags.join(',')}`]),
    ...(set.timeoutMs === undefined ? [] : [`timeout ${durationText(set.timeoutMs)}`]),
    ...(set.comment === undefined ? [] : [`comment "${set.comment}"`]),
  ]
}

export function setText(set: NftSet | NftMap): string {
  return `${setName(set)} { ${setLines(set)
    .map((line) => `${line};`)
    .join(' ')} }`
}

/** `1h30s`, as nft writes times. */
export function durationText(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ] as const
  let rest = ms
  let text = ''
  for (const [unit, length] of units) {
    const count = Math.floor(rest / length)
    rest -= count * length
    if (count > 0) text += `${count}${unit}`
  }
  return text || '0s'
}

/** @param id  tells the sets of one batch apart (the kernel wants one, also where only names are used) */
export function newSetAttributes(set: NftSet | NftMap, id: number) {
  const isConcatInterval = isInterval(set) && set.type.length > 1
  return {
    NFTA_SET_TABLE: set.table.name,
    NFTA_SET_NAME: set.name,
    NFTA_SET_FLAGS: flagBits(set) | (isConcatInterval ? NFT_SET_CONCAT : 0),
    NFTA_SET_KEY_TYPE: concatTypeId(set.type),
    NFTA_SET_KEY_LEN: concatBytes(set.type),
    ...(isMap(set) ? valueAttributes(set.value) : {}),
    NFTA_SET_ID: id,
    NFTA_SET_TIMEOUT: set.timeoutMs === undefined ? undefined : BigInt(set.timeoutMs),
    ...descriptionAttributes(set, isConcatInterval),
    NFTA_SET_USERDATA: setUserdata(set),
  }
}

function flagBits(set: NftSet | NftMap): number {
  const timeout = set.timeoutMs === undefined ? 0 : FLAGS.timeout
  return (set.flags ?? []).reduce(
    (bits, flag) => bits | FLAGS[flag],
    timeout | (isMap(set) ? NFT_SET_MAP : 0),
  )
}

function valueAttributes(value: NftMap['value']) {
  if (value === 'verdict') return { NFTA_SET_DATA_TYPE: NFT_DATA_VERDICT, NFTA_SET_DATA_LEN: 0 }
  return { NFTA_SET_DATA_TYPE: concatTypeId(value), NFTA_SET_DATA_LEN: concatBytes(value) }
}

function descriptionAttributes(set: NftSet, isConcatInterval: boolean) {
  const size = set.size === undefined ? {} : { NFTA_SET_DESC_SIZE: set.size }
  const fields = set.type.map((name) => ({ NFTA_SET_FIELD_LEN: DATA_TYPES[name].bytes }))
  const concat = isConcatInterval ? { NFTA_SET_DESC_CONCAT: { NFTA_LIST_ELEM: fields } } : {}
  const description = { ...size, ...concat }
  return Object.keys(description).length === 0 ? {} : { NFTA_SET_DESC: description }
}

/** What nft needs to print keys and values of integer types right, and the comment. */
function setUserdata(set: NftSet | NftMap): Uint8Array {
  const entries = new Map<number, Uint8Array>([[UDATA.set.keyByteOrder, byteOrder(set.type)]])
  if (isMap(set)) {
    entries.set(UDATA.set.dataByteOrder, set.value === 'verdict' ? hostU32(0) : byteOrder(set.value))
    entries.set(UDATA.set.dataInterval, hostU32(0))
  }
  if (set.comment !== undefined) entries.set(UDATA.set.comment, encodeComment(set.comment))
  return encodeUserdata(entries satisfies Userdata)
}

function byteOrder(types: readonly DataTypeName[]): Uint8Array {
  const [only] = types
  if (types.length !== 1 || only === undefined) return hostU32(0)
  return hostU32(DATA_TYPES[only].byteOrder === 'host' ? 1 : 2)
}

function hostU32(n: number): Uint8Array {
  return Uint8Array.of(n, 0, 0, 0)
}

/** @throws RangeError when the payload is none of a set, or its types are not in DATA_TYPES */
export function readSet(table: NftTable, payload: Uint8Array): NftSet | NftMap {
  const { attributes: a } = readPayload(MESSAGES.set.NEW, payload)
  const bits = a.NFTA_SET_FLAGS ?? 0
  const flags = Object.entries(FLAGS).flatMap(([name, bit]) => (bits & bit ? [name as SetFlag] : []))
  const comment = readComment(a.NFTA_SET_USERDATA, UDATA.set.comment)
  const size = a.NFTA_SET_DESC?.NFTA_SET_DESC_SIZE
  return {
    table,
    name: a.NFTA_SET_NAME ?? '',
    type: typesOfId(a.NFTA_SET_KEY_TYPE ?? 0),
    ...(bits & NFT_SET_MAP ? { value: readValueType(a.NFTA_SET_DATA_TYPE ?? 0) } : {}),
    ...(flags.length === 0 ? {} : { flags }),
    ...(a.NFTA_SET_TIMEOUT === undefined ? {} : { timeoutMs: Number(a.NFTA_SET_TIMEOUT) }),
    ...(size === undefined ? {} : { size }),
    ...(comment === undefined ? {} : { comment }),
  }
}

function readValueType(id: number): NftMap['value'] {
  return id === NFT_DATA_VERDICT ? 'verdict' : typesOfId(id)
}

/** Whether the kernel would take one for the other: what decides how elements are kept. */
export function isSameSet(a: NftSet | NftMap, b: NftSet | NftMap): boolean {
  return JSON.stringify(identity(a)) === JSON.stringify(identity(b))
}

function identity(set: NftSet | NftMap) {
  return [set.type, isMap(set) ? set.value : undefined, flagBits(set), set.timeoutMs, set.size]
}
