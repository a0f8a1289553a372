// Notes that the kernel keeps with an object and never reads (NFTA_*_USERDATA): type, length, value, each a byte
// but the value. `nft` keeps comments there, and of sets how to print their keys (libnftnl/udata.h).

export type Userdata = ReadonlyMap<number, Uint8Array>

/** Value bytes that fit beside type and length in NFT_USERDATA_MAXLEN, less the NUL that ends a text. */
export const MAX_COMMENT_BYTES = 253

/** The numbers that `nft` gave to its notes, by the object that they are on. */
export const UDATA = {
  table: { comment: 0 },
  chain: { comment: 0 },
  rule: { comment: 0 },
  element: { comment: 0, flags: 1 },
  set: { keyByteOrder: 0, dataByteOrder: 1, dataInterval: 6, comment: 7 },
} as const

export function encodeUserdata(entries: Userdata): Uint8Array {
  const parts = [...entries].flatMap(([type, value]) => {
    if (value.length > 255) throw new RangeError(`userdata of ${value.length} bytes; 255 is the most`)
    return [type, value.length, ...value]
  })
  if (parts.length > 256) throw new RangeError(`userdata of ${parts.length} bytes in all; 256 is the most`)
  return Uint8Array.from(parts)
}

/** Takes what any program may have put there: a part that does not fit its length is left out. */
export function decodeUserdata(bytes: Uint8Array | undefined): Userdata {
  const entries = new Map<number, Uint8Array>()
  let offset = 0
  while (bytes !== undefined && offset + 2 <= bytes.length) {
    const [type = 0, length = 0] = bytes.subarray(offset)
    if (offset + 2 + length > bytes.length) break
    entries.set(type, Uint8Array.from(bytes.subarray(offset + 2, offset + 2 + length)))
    offset += 2 + length
  }
  return entries
}

/** @throws RangeError when the kernel has no room for it, or `nft` could not print it so that it reads back */
export function encodeComment(comment: string): Uint8Array {
  const text = new TextEncoder().encode(`${comment}\0`)
  if (text.length > MAX_COMMENT_BYTES + 1) {
    throw new RangeError(`comment of ${text.length - 1} bytes; ${MAX_COMMENT_BYTES} is the most`)
  }
  if (/["\0\n]/.test(comment)) throw new RangeError(`comment ${JSON.stringify(comment)} cannot be quoted`)
  return text
}

/** The NUL-terminated text under `type`. */
export function readComment(userdata: Uint8Array | undefined, type: number): string | undefined {
  const value = decodeUserdata(userdata).get(type)
  if (value === undefined) return undefined
  const end = value.indexOf(0)
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end))
}

/** Userdata that is a comment alone, as an attribute to spread: nothing when there is none. */
export function commentUserdata<K extends string>(
  attribute: K,
  comment: string | undefined,
): { [P in K]?: Uint8Array } {
  if (comment === undefined) return {}
  const bytes = encodeUserdata(new Map([[0, encodeComment(comment)]]))
  return { [attribute]: bytes } as { [P in K]?: Uint8Array }
}

/** ` comment "…"`, or nothing. */
export function commentText(comment: string | undefined): string {
  return comment === undefined ? '' : ` comment "${comment}"`
}
