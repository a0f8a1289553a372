// Netlink attributes (struct nlattr) described by tables: name → number and form. One encoder and one decoder
// read the tables, and the static type of a set of attributes follows from its table.
//
// An attribute that a table does not know is kept with its bytes in `unknown`, and written back by the encoder,
// so that a newer kernel never breaks us and a read-modify-write loses nothing.

import { ByteWriter } from './byte-writer.ts'
import type { Codec, StructCodec } from './codecs.ts'

const HEADER_BYTES = 4
/** nla_len has 16 bits. */
const MAX_LENGTH = 0xffff
const NLA_F_NESTED = 0x8000
/** What remains of an attribute's type without its flag bits. */
export const NLA_TYPE_MASK = 0x3fff

/** [number, form]; a form may depend on a sibling (`selected`) or occur more than once (`repeated`). */
export type AttributeEntry<T = unknown> = readonly [type: number, form: AttributeForm<T>]

export interface AttributeForm<T> extends Codec<T> {
  readonly nested?: boolean
  readonly repeated?: boolean
  /** The attributes inside, for naming what an error points at and for printing. */
  readonly table?: () => AttributeTable
  /** Before the attributes inside. */
  readonly header?: StructCodec<object>
  /** Header and attributes any number of times. */
  readonly sequence?: boolean
  /** Chooses the form by the siblings that are already decoded. */
  readonly select?: (siblings: Readonly<Record<string, unknown>>) => AttributeForm<unknown> | undefined
}

export type AttributeTable = Readonly<Record<string, AttributeEntry>>

export interface UnknownAttribute {
  readonly type: number
  readonly data: Uint8Array
}

/** What is undefined is not written. */
export type Attributes<T extends AttributeTable> = {
  -readonly [K in keyof T]?: (T[K] extends AttributeEntry<infer V> ? V : never) | undefined
} & { unknown?: UnknownAttribute[] }

/** Names the entries' types while keeping their literal keys. */
export function attributeTable<const T extends AttributeTable>(table: T): T {
  return table
}

/** Attributes inside an attribute. `table` is a thunk, since tables refer to each other and to themselves. */
export function nested<T extends AttributeTable>(table: () => T): AttributeForm<Attributes<T>> {
  return {
    name: 'nested',
    nested: true,
    table,
    write: (writer, value) => writeAttributes(writer, table(), value),
    read: (bytes, isWhole) => readAttributes(bytes, table(), isWhole),
  }
}

/** A struct followed by attributes, inside an attribute: VETH_INFO_PEER holds a whole link message. */
export function nestedMessage<H, T extends AttributeTable>(
  header: StructCodec<H>,
  table: () => T,
): AttributeForm<{ header: Partial<H>; attributes: Attributes<T> }> {
  return {
    name: 'message',
    nested: true,
    table,
    header: header as StructCodec<object>,
    write(writer, value) {
      header.write(writer, value.header)
      writeAttributes(writer, table(), value.attributes)
    },
    read: (bytes, isWhole) => ({
      header: header.read(bytes),
      attributes: readAttributes(bytes.subarray(header.size), table(), isWhole),
    }),
  }
}

/**
 * Structs that say their own length, each followed by attributes, inside an attribute: RTA_MULTIPATH.
 *
 * @param length  the field of the struct that counts it and its attributes
 */
export function sequence<H, T extends AttributeTable>(
  header: StructCodec<H>,
  length: keyof H & string,
  table: () => T,
): AttributeForm<{ header: H; attributes: Attributes<T> }[]> {
  return {
    name: 'sequence',
    table,
    header: header as StructCodec<object>,
    sequence: true,
    write(writer, values) {
      for (const value of values) {
        const inner = new ByteWriter()
        writeAttributes(inner, table(), value.attributes)
        header.write(writer, { ...value.header, [length]: header.size + inner.length })
        writer.bytes(inner.finish())
      }
    },
    read(bytes, isWhole) {
      const values: { header: H; attributes: Attributes<T> }[] = []
      for (let rest = bytes; rest.length > 0; ) {
        const value = header.read(rest)
        const size = Number(value[length])
        if (size < header.size || size > rest.length) throw new RangeError(`${size} bytes of ${rest.length}`)
        const attributes = readAttributes(rest.subarray(header.size, size), table(), isWhole)
        values.push({ header: value, attributes })
        rest = rest.subarray((size + 3) & ~3)
      }
      return values
    },
  }
}

/** An attribute that occurs any number of times, in order. */
export function repeated<T>(form: AttributeForm<T>): AttributeForm<T[]> {
  return {
    ...(form as unknown as AttributeForm<T[]>),
    repeated: true,
    write: (writer, value) => form.write(writer, value as T),
    read: (bytes, isWhole) => form.read(bytes, isWhole) as unknown as T[],
  }
}

/**
 * A form chosen by a sibling's value: IFLA_INFO_DATA by IFLA_INFO_KIND. What no form is known for stays bytes.
 *
 * @param forms  called once, when one is needed: tables refer to each other
 */
export function selected<T>(
  sibling: string,
  forms: () => Readonly<Record<string, AttributeForm<unknown>>>,
): AttributeForm<T> {
  let known: ReturnType<typeof forms> | undefined
  return {
    name: 'selected',
    nested: true,
    select(siblings) {
      known ??= forms()
      return known[String(siblings[sibling])]
    },
    write() {
      throw new RangeError(`no form for this ${sibling}`)
    },
    read: (bytes) => new Uint8Array(bytes) as T,
  }
}

/** @throws RangeError when a value does not fit its form, or an attribute is longer than 64 KiB */
export function writeAttributes(writer: ByteWriter, table: AttributeTable, values: Readonly<object>): void {
  const given = values as Readonly<Record<string, unknown>>
  for (const name of Object.keys(given)) {
    const value = given[name]
    if (value === undefined) continue
    if (name === 'unknown') {
      for (const { type, data } of value as UnknownAttribute[]) writeRaw(writer, type, data)
      continue
    }
    const entry = table[name]
    if (entry === undefined) throw new RangeError(`no attribute ${name} in this table`)
    const [type, form] = entry as AttributeEntry
    const chosen = form.select?.(given) ?? form
    if (!form.repeated) writeAttribute(writer, type, chosen, value)
    else for (const single of value as unknown[]) writeAttribute(writer, type, chosen, single)
  }
}

function writeAttribute(
  writer: ByteWriter,
  type: number,
  form: AttributeForm<unknown>,
  value: unknown,
): void {
  const start = writer.skip(HEADER_BYTES)
  form.write(writer, value)
  writeHeader(writer, start, form.nested ? type | NLA_F_NESTED : type)
}

function writeRaw(writer: ByteWriter, type: number, data: Uint8Array): void {
  const start = writer.skip(HEADER_BYTES)
  writer.bytes(data)
  writeHeader(writer, start, type)
}

/** The header of the attribute that began at `start` and ends here. */
function writeHeader(writer: ByteWriter, start: number, type: number): void {
  const length = writer.length - start
  if (length > MAX_LENGTH) throw new RangeError(`attribute ${type & NLA_TYPE_MASK} of ${length} bytes`)
  writer.view.setUint16(start, length, true)
  writer.view.setUint16(start + 2, type, true)
  writer.align()
}

export interface RawAttribute {
  /** With its flag bits (NLA_F_NESTED, NLA_F_NET_BYTEORDER). */
  readonly type: number
  readonly data: Uint8Array
  /** Of the attribute's header, from the start of the bytes walked. */
  readonly offset: number
}

/** @throws RangeError when a length runs past the end or is shorter than a header */
export function* walkAttributes(bytes: Uint8Array): Generator<RawAttribute> {
  for (let offset = 0; bytes.length - offset >= HEADER_BYTES; ) {
    const length = lengthAt(bytes, offset)
    const data = bytes.subarray(offset + HEADER_BYTES, offset + length)
    yield { type: u16At(bytes, offset + 2), data, offset }
    offset += (length + 3) & ~3
  }
}

/** Of the attribute at an offset, its header included. */
function lengthAt(bytes: Uint8Array, offset: number): number {
  const length = u16At(bytes, offset)
  if (length < HEADER_BYTES || offset + length > bytes.length) {
    throw new RangeError(`attribute of ${length} bytes at offset ${offset} of ${bytes.length}`)
  }
  return length
}

function u16At(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] as number) | ((bytes[offset + 1] as number) << 8)
}

interface NamedForm {
  readonly name: string
  readonly form: AttributeForm<unknown>
}

const formsOfTables = new WeakMap<AttributeTable, (NamedForm | undefined)[]>()

/** By their numbers, so that a reader need not look for names. */
function formsOf(table: AttributeTable): (NamedForm | undefined)[] {
  let forms = formsOfTables.get(table)
  if (forms === undefined) {
    forms = []
    for (const [name, [type, form]] of Object.entries(table))
      forms[type] = { name, form: form as AttributeForm<unknown> }
    formsOfTables.set(table, forms)
  }
  return forms
}

/** The name of an attribute number in a table. */
export function attributeName(table: AttributeTable, type: number): string | undefined {
  return formsOf(table)[type & NLA_TYPE_MASK]?.name
}

/**
 * @param isWhole  with what the table does not know, in `unknown`: most of a link's message is that
 * @throws RangeError when the bytes are no attributes, or a value does not fit its form
 */
export function readAttributes<T extends AttributeTable>(
  bytes: Uint8Array,
  table: T,
  isWhole = true,
): Attributes<T> {
  const forms = formsOf(table)
  const values: Record<string, unknown> = {}
  const unknown: UnknownAttribute[] = []
  // What depends on a sibling is read last: the kernel does not promise an order.
  const dependent: [type: number, known: NamedForm, data: Uint8Array][] = []
  for (let offset = 0; bytes.length - offset >= HEADER_BYTES; ) {
    const length = lengthAt(bytes, offset)
    const type = u16At(bytes, offset + 2)
    const known = forms[type & NLA_TYPE_MASK]
    if (known !== undefined) {
      const data = bytes.subarray(offset + HEADER_BYTES, offset + length)
      if (known.form.select === undefined) store(values, known.name, known.form, data, isWhole)
      else dependent.push([type, known, data])
    } else if (isWhole) {
      unknown.push({ type, data: new Uint8Array(bytes.subarray(offset + HEADER_BYTES, offset + length)) })
    }
    offset += (length + 3) & ~3
  }
  for (const [type, { name, form }, data] of dependent) {
    const chosen = form.select?.(values)
    if (chosen) store(values, name, chosen, data, isWhole)
    else if (isWhole) unknown.push({ type, data: new Uint8Array(data) })
  }
  if (unknown.length > 0) values['unknown'] = unknown
  return values as Attributes<T>
}

function store(
  values: Record<string, unknown>,
  name: string,
  form: AttributeForm<unknown>,
  data: Uint8Array,
  isWhole: boolean,
): void {
  let value: unknown
  try {
    value = form.read(data, isWhole)
  } catch (cause) {
    throw new RangeError(`${name}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  if (!form.repeated) values[name] = value
  else if (Array.isArray(values[name])) (values[name] as unknown[]).push(value)
  else values[name] = [value]
}
