// Netlink messages (struct nlmsghdr, linux/netlink.h): many of them travel in one datagram.

import type { ByteWriter } from './byte-writer.ts'

export const NLM_F_REQUEST = 0x001
export const NLM_F_MULTI = 0x002
export const NLM_F_ACK = 0x004
export const NLM_F_ECHO = 0x008
export const NLM_F_DUMP_INTR = 0x010
export const NLM_F_CAPPED = 0x100
export const NLM_F_ACK_TLVS = 0x200
/** For GET requests. */
export const NLM_F_DUMP = 0x300
/** For NEW requests. */
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800

export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3

export const NLMSG_HDRLEN = 16

export interface Message {
  readonly type: number
  readonly flags: number
  readonly seq: number
  readonly port: number
  readonly payload: Uint8Array
}

/** NLMSG_ERROR and NLMSG_DONE begin with an errno, zero or negative. @returns 0 for success, else positive */
export function readErrno({ payload }: Pick<Message, 'payload'>): number {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  return payload.length >= 4 ? Math.max(0, -view.getInt32(0, true)) : 0
}

/** Appends one message, aligned. */
export function writeMessage(writer: ByteWriter, message: Omit<Message, 'port'>): void {
  const start = writer.skip(NLMSG_HDRLEN)
  writer.bytes(message.payload)
  const { view } = writer
  view.setUint32(start, writer.length - start, true)
  view.setUint16(start + 4, message.type, true)
  view.setUint16(start + 6, message.flags, true)
  view.setUint32(start + 8, message.seq, true)
  writer.align()
}

/** Splits a datagram. @throws RangeError when a length runs past the end or is shorter than a header */
export function* readMessages(datagram: Uint8Array): Generator<Message> {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  let offset = 0
  while (offset < datagram.length) {
    const length = offset + NLMSG_HDRLEN <= datagram.length ? view.getUint32(offset, true) : 0
    if (length < NLMSG_HDRLEN || offset + length > datagram.length) {
      throw new RangeError(`netlink message of ${length} bytes at offset ${offset} of ${datagram.length}`)
    }
    yield {
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      seq: view.getUint32(offset + 8, true),
      port: view.getUint32(offset + 12, true),
      payload: datagram.subarray(offset + NLMSG_HDRLEN, offset + length),
    }
    offset += (length + 3) & ~3
  }
}
