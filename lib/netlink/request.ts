// A request as data: what kind of message, to what end. It can be sent, printed, and blamed.

import { type Attributes, type AttributeTable, readAttributes, writeAttributes } from './attributes.ts'
import { ByteWriter } from './byte-writer.ts'
import type { StructCodec } from './codecs.ts'

/** A message type of a family: RTM_NEWLINK is a struct ifinfomsg and attributes of the IFLA table. */
export interface MessageKind<H = object, T extends AttributeTable = AttributeTable> {
  readonly name: string
  readonly type: number
  readonly header: StructCodec<H>
  readonly attributes: T
}

export interface Request {
  readonly kind: MessageKind
  readonly flags: number
  readonly payload: Uint8Array
  /** For errors: what is attempted, on what, in the words of the `ip` or `nft` command. */
  readonly operation: string
}

/** As it is, or to be made when it is asked for: most requests do not fail. */
export type Operation = string | (() => string)

export function operationText(operation: Operation): string {
  return typeof operation === 'string' ? operation : operation()
}

class LazyRequest implements Request {
  readonly kind: MessageKind
  readonly flags: number
  readonly payload: Uint8Array
  readonly #operation: Operation

  constructor(
    kind: MessageKind,
    { flags, payload, operation }: Pick<Request, 'flags' | 'payload'> & { operation: Operation },
  ) {
    this.kind = kind
    this.flags = flags
    this.payload = payload
    this.#operation = operation
  }

  get operation(): string {
    return operationText(this.#operation)
  }
}

export interface RequestContent<H, T extends AttributeTable> {
  readonly flags?: number
  readonly header?: Partial<H>
  readonly attributes?: Attributes<T>
  readonly operation: Operation
}

export function request<H, T extends AttributeTable>(
  kind: MessageKind<H, T>,
  content: RequestContent<H, T>,
): Request {
  const writer = new ByteWriter()
  kind.header.write(writer, content.header ?? {})
  writer.align()
  writeAttributes(writer, kind.attributes, content.attributes ?? {})
  return new LazyRequest(kind as unknown as MessageKind, {
    flags: content.flags ?? 0,
    payload: writer.finish(),
    operation: content.operation,
  })
}

/** The other way: a message's payload by its kind. @throws RangeError when it does not fit */
export function readPayload<H, T extends AttributeTable>(
  kind: Pick<MessageKind<H, T>, 'header' | 'attributes'>,
  payload: Uint8Array,
  isWhole = true,
): { header: H; attributes: Attributes<T> } {
  const header = kind.header.read(payload)
  const start = (kind.header.size + 3) & ~3
  return { header, attributes: readAttributes(payload.subarray(start), kind.attributes, isWhole) }
}

/** What a value is made of: without what the kind does not know, which is most of a link's message. */
export function readKnown<H, T extends AttributeTable>(
  kind: Pick<MessageKind<H, T>, 'header' | 'attributes'>,
  payload: Uint8Array,
): { header: H; attributes: Attributes<T> } {
  return readPayload(kind, payload, false)
}
