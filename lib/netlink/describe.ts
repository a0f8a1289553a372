// Messages in words, for the trace and for errors: numbers become the names of the kernel's headers.

import {
  type AttributeEntry,
  type AttributeForm,
  type AttributeTable,
  attributeName,
  readAttributes,
  type UnknownAttribute,
  walkAttributes,
} from './attributes.ts'
import { NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_MULTI, NLMSG_HDRLEN } from './message.ts'
import { type MessageKind, readPayload } from './request.ts'

/** More of an attribute that has no name says nothing to a reader: statistics are hundreds of bytes. */
const MAX_HEX_BYTES = 16

interface Level {
  readonly table: AttributeTable
  readonly data: Uint8Array
}

/**
 * The attribute that an extended acknowledgement points at: `IFLA_LINKINFO.IFLA_INFO_KIND`.
 *
 * @param offset  NLMSGERR_ATTR_OFFS: bytes from the start of the message's header
 */
export function attributePathAt(kind: MessageKind, payload: Uint8Array, offset: number): string | undefined {
  const start = (kind.header.size + 3) & ~3
  const path: string[] = []
  let level: Level | undefined = { table: kind.attributes, data: payload.subarray(start) }
  let target = offset - NLMSG_HDRLEN - start
  while (level !== undefined) {
    const { table, data }: Level = level
    const hit = [...walkAttributes(data)].find(
      (a) => target >= a.offset && target < a.offset + 4 + a.data.length,
    )
    if (hit === undefined) break
    path.push(attributeName(table, hit.type) ?? `#${hit.type & 0x3fff}`)
    const inside = formOf(table, data, hit.type)
    if (hit.offset === target || inside?.sequence) break
    const skip = inside?.header?.size ?? 0
    level = inside?.table && { table: inside.table(), data: hit.data.subarray(skip) }
    target -= hit.offset + 4 + skip
  }
  return path.length > 0 ? path.join('.') : undefined
}

function formOf(table: AttributeTable, level: Uint8Array, type: number): AttributeForm<unknown> | undefined {
  const name = attributeName(table, type)
  return name === undefined ? undefined : chooseForm(table, name, () => readAttributes(level, table))
}

function chooseForm(
  table: AttributeTable,
  name: string,
  siblings: () => Readonly<Record<string, unknown>>,
): AttributeForm<unknown> | undefined {
  const form = (table[name] as AttributeEntry | undefined)?.[1]
  return form?.select ? form.select(siblings()) : form
}

const ALWAYS: readonly (readonly [bit: number, name: string])[] = [
  [NLM_F_MULTI, 'multi'],
  [NLM_F_ACK, 'ack'],
  [0x8, 'echo'],
  [NLM_F_DUMP_INTR, 'interrupted'],
]
/** The upper bits mean something else for each verb (linux/netlink.h). */
const BY_VERB: Readonly<Record<string, typeof ALWAYS>> = {
  GET: [
    [0x300, 'dump'],
    [0x400, 'atomic'],
  ],
  NEW: [
    [0x100, 'replace'],
    [0x200, 'excl'],
    [0x400, 'create'],
    [0x800, 'append'],
  ],
  DEL: [
    [0x100, 'nonrec'],
    [0x200, 'bulk'],
  ],
}

/** `RTM_NEWLINK excl,create,ack ifi_index 3 IFLA_IFNAME "eth0"`. Never throws: what cannot be read is shown as bytes. */
export function formatMessage(kind: MessageKind, flags: number, payload: Uint8Array): string {
  const verb = /_(GET|NEW|DEL)/.exec(kind.name)?.[1] ?? ''
  const bits = [...(BY_VERB[verb] ?? []), ...ALWAYS]
  const names = bits.filter(([bit]) => (flags & bit) === bit).map(([, name]) => name)
  const words = [kind.name, ...(names.length > 0 ? [names.join(',')] : [])]
  try {
    return [...words, ...payloadWords(kind, payload)].join(' ')
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return [...words, `unreadable (${error.message})`, hex(payload)].join(' ')
  }
}

/** `RTM_NEWLINK ifi_index 3 IFLA_IFNAME "eth0" IFLA_MTU 1500`. @throws RangeError when it cannot be read */
export function formatPayload(kind: MessageKind, payload: Uint8Array): string {
  return [kind.name, ...payloadWords(kind, payload)].join(' ')
}

function payloadWords(kind: MessageKind, payload: Uint8Array): string[] {
  const { header, attributes } = readPayload(kind, payload)
  return [...kind.header.format(header), ...formatAttributes(attributes, kind.attributes)]
}

function formatAttributes(values: Readonly<Record<string, unknown>>, table: AttributeTable): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    if (name === 'unknown')
      return (value as UnknownAttribute[]).flatMap(({ type, data }) => {
        return [`#${type & 0x3fff}`, data.length > MAX_HEX_BYTES ? `(${data.length} bytes)` : hex(data)]
      })
    const form = chooseForm(table, name, () => values)
    if (!form?.repeated && !form?.sequence) return [name, formatValue(value, form)]
    return [name, `[${(value as unknown[]).map((one) => formatValue(one, form)).join(', ')}]`]
  })
}

function formatValue(value: unknown, form: AttributeForm<unknown> | undefined): string {
  if (form?.format) return form.format(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Uint8Array) return hex(value)
  if (form?.table === undefined) return String(value)
  if (form.header === undefined)
    return braces(formatAttributes(value as object as Record<string, unknown>, form.table()))
  const { header, attributes } = value as { header: object; attributes: Record<string, unknown> }
  return braces([...form.header.format(header), ...formatAttributes(attributes, form.table())])
}

function braces(words: readonly string[]): string {
  return words.length === 0 ? '{}' : `{ ${words.join(' ')} }`
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') || '-'
}
