// A call of the daemon, as native/shim.c makes it.

import { connect } from 'node:net'
import {
  type Call,
  decodeOutcome,
  encodeCall,
  HEADER_BYTES,
  KIND,
  type Outcome,
  ProtocolError,
  readHeader,
} from './protocol.ts'

/** @throws ProtocolError when the daemon refuses, or ends the conversation; Error of the socket */
export function callDaemon(socketPath: string, call: Call): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
  let bytes: Buffer = Buffer.alloc(0)
  const socket = connect(socketPath)
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk])
    try {
      for (let frame = takeFrame(bytes); frame !== undefined; frame = takeFrame(bytes)) {
        bytes = frame.rest
        if (frame.kind === KIND.outcome) resolve(decodeOutcome(frame.body))
        if (frame.kind === KIND.refused) throw new ProtocolError(`refused: ${frame.body}`)
      }
    } catch (error) {
      reject(error)
    }
  })
  socket.on('error', reject)
  socket.on('close', () => reject(new ProtocolError('no outcome')))
  socket.write(encodeCall(call))
  return promise
}

/** @returns undefined while it is not whole */
function takeFrame(bytes: Buffer) {
  if (bytes.length < HEADER_BYTES) return undefined
  const { kind, length } = readHeader(bytes)
  const end = HEADER_BYTES + length
  if (bytes.length < end) return undefined
  return { kind, body: bytes.subarray(HEADER_BYTES, end), rest: bytes.subarray(end) }
}
