// What the shim (native/shim.c) and the daemon say to each other over a unix socket: frames, each a header and a body.
//
//   header, 12 bytes   "PWIR"  version u8  kind u8  zero u16  length of the body u32 (of this machine: little endian)
//
//   shim → daemon      call      the strings of `Call`, each ended by a NUL: plugin, facts of the caller, environment,
//                                an empty one; then the config as it came from stdin
//   daemon → shim      working   the daemon is at it; comes every second (16, as earlier daemons say, is the same)
//                      outcome   exit status u32, length of stdout u32, stdout, stderr
//                      refused   nothing was done, the caller does it itself; why is said in the error object
//                                that is its answer when it cannot
//
// A daemon that does not know the version refuses, and a shim that does not know an answer does the call itself. So old
// and new work together, or fall back.

export const VERSION = 1

export const KIND = { call: 1, working: 17, outcome: 18, refused: 19 } as const

export type Kind = (typeof KIND)[keyof typeof KIND]

const MAGIC = 'PWIR'
export const HEADER_BYTES = 12

/** Environment and config together; the kernel itself takes 128 KiB for one variable. */
export const MAX_BODY_BYTES = 4 << 20

/** Where the caller is. The daemon must be there too: else the same path or name is something else to each of them. */
interface CallerFacts {
  /** The text of the link /proc/self/ns/net: `net:[4026531840]`. */
  readonly netns: string
  /** What is behind each of PLACES, and behind CNI_NETNS: device and inode in hex, NOTHING where nothing is. */
  readonly places: readonly string[]
}

export const NOTHING = '-'
export const PLACES = ['/', '/run', '/var/lib/cni'] as const

export interface Call extends CallerFacts {
  /** The name that the plugin was called by: `cni-bridge`, `bridge`. */
  readonly plugin: string
  readonly environment: Readonly<Record<string, string>>
  readonly stdin: string
}

export interface Outcome {
  readonly exitStatus: number
  readonly stdout: string
  readonly stderr: string
}

export class ProtocolError extends Error {
  constructor(why: string) {
    super(`daemon protocol: ${why}`)
    this.name = 'ProtocolError'
  }
}

export interface Header {
  readonly version: number
  readonly kind: number
  readonly length: number
}

/** @param bytes  at least HEADER_BYTES. @throws ProtocolError when it is not ours */
export function readHeader(bytes: Buffer): Header {
  if (bytes.toString('latin1', 0, 4) !== MAGIC) throw new ProtocolError('this is no frame')
  return { version: bytes.readUInt8(4), kind: bytes.readUInt8(5), length: bytes.readUInt32LE(8) }
}

export function encodeFrame(kind: Kind, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const frame = beginFrame(kind, body.length)
  frame.set(body, HEADER_BYTES)
  return frame
}

/** Its body is to be filled in. */
function beginFrame(kind: Kind, length: number): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length)
  frame.write(MAGIC, 'latin1')
  frame.writeUInt8(VERSION, 4)
  frame.writeUInt8(kind, 5)
  frame.writeUInt16LE(0, 6)
  frame.writeUInt32LE(length, 8)
  return frame
}

/** Before the variables: plugin, network namespace, places, and what CNI_NETNS leads to. */
const FIXED_STRINGS = 2 + PLACES.length + 1

/** As native/shim.c does. */
export function encodeCall({ plugin, netns, places, environment, stdin }: Call): Buffer {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  const strings = [plugin, netns, ...places, ...variables, ''].map((text) => `${text}\0`)
  return encodeFrame(KIND.call, Buffer.from(strings.join('') + stdin))
}

/** @throws ProtocolError */
export function decodeCall(body: Buffer): Call {
  const all = body.toString()
  const strings: string[] = []
  let start = 0
  for (;;) {
    const end = all.indexOf('\0', start)
    if (end < 0) throw new ProtocolError('a call ends within its strings')
    const text = all.slice(start, end)
    start = end + 1
    if (text === '' && strings.length >= FIXED_STRINGS) break
    strings.push(text)
  }
  const [plugin = '', netns = '', ...rest] = strings
  return {
    plugin,
    netns,
    places: rest.slice(0, PLACES.length + 1),
    environment: readVariables(rest.slice(PLACES.length + 1)),
    stdin: all.slice(start),
  }
}

/** The first of a name counts, as for getenv(3); what has no "=" is no variable. */
function readVariables(variables: readonly string[]): Record<string, string> {
  const environment: Record<string, string> = Object.create(null)
  for (const text of variables) {
    const equals = text.indexOf('=')
    if (equals <= 0) continue
    const name = text.slice(0, equals)
    if (!(name in environment)) environment[name] = text.slice(equals + 1)
  }
  return environment
}

export function encodeOutcome({ exitStatus, stdout, stderr }: Outcome): Buffer {
  const outBytes = Buffer.byteLength(stdout)
  const frame = beginFrame(KIND.outcome, 8 + outBytes + Buffer.byteLength(stderr))
  frame.writeUInt32LE(exitStatus, HEADER_BYTES)
  frame.writeUInt32LE(outBytes, HEADER_BYTES + 4)
  frame.write(stdout, HEADER_BYTES + 8)
  frame.write(stderr, HEADER_BYTES + 8 + outBytes)
  return frame
}

/** @throws ProtocolError */
export function decodeOutcome(body: Buffer): Outcome {
  const length = body.length < 8 ? -1 : body.readUInt32LE(4)
  if (length < 0 || 8 + length > body.length) throw new ProtocolError('an outcome is cut short')
  return {
    exitStatus: body.readUInt32LE(0),
    stdout: body.toString('utf8', 8, 8 + length),
    stderr: body.toString('utf8', 8 + length),
  }
}

/** @param text  the error object */
export function encodeRefusal(text: string): Buffer {
  return encodeFrame(KIND.refused, Buffer.from(text))
}
