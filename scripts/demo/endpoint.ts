// The program that runs in each namespace of the demo, as a container runs in its pod. It answers every connection
// with the address that it sees at the other end, and connects to where it is told: a line of standard input each.

import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

const PORT = 8080
const DEADLINE_MS = 2000

/** What the other side says who we are. */
function ask(host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: PORT })
    let answer = ''
    socket.setTimeout(DEADLINE_MS)
    socket.on('data', (text) => {
      answer += String(text)
    })
    socket.on('end', () => resolve(answer))
    socket.on('error', (error) => reject(error))
    socket.on('timeout', () => socket.destroy(new Error(`no answer for ${DEADLINE_MS} ms`)))
  })
}

const server = createServer((socket) => {
  socket.on('error', () => undefined) // who asks may go
  socket.end((socket.remoteAddress ?? '').replace(/^::ffff:/, ''))
})
server.on('error', (error) => {
  throw error
})
server.listen(PORT, '::', () => console.log('ready'))

const lines = createInterface({ input: process.stdin })
lines.on('line', (host) => {
  ask(host).then(
    (seenAs) => console.log(JSON.stringify({ seenAs })),
    (error: Error) => console.log(JSON.stringify({ error: error.message })),
  )
})
lines.on('close', () => process.exit(0))
