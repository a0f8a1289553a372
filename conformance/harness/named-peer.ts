// A peer with a name. It says who it is and under which address a caller arrives, over TCP and UDP alike; and it calls
// other peers. A program of the tests, to be run inside namespaces.
//
//   named-peer.ts NAME     prints `ready`, then serves until stdin ends. Each line there is a call, as JSON:
//                          [ADDRESS, PORT, "tcp" or "udp", own port or 0]; what is answered is a line of stdout

import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

type Call = readonly [address: string, port: number, protocol: 'tcp' | 'udp', from: number]

const PORT = 8080
const DEADLINE_MS = 3_000
const [name = ''] = process.argv.slice(2)

const answer = (address = '') => `${name} sees ${address.replace(/^::ffff:/, '')}`

const udp = createSocket('udp6')
udp.on('message', (_, { address, port }) => udp.send(answer(address), port, address))
udp.bind(PORT, '::', () => {
  const tcp = createServer((socket) => socket.end(answer(socket.remoteAddress)))
  tcp.listen(PORT, '::', () => console.log('ready'))
})

const lines = createInterface(process.stdin)
lines.on('line', async (line) => {
  const call = JSON.parse(line) as Call
  console.log(await (call[2] === 'udp' ? callUdp(call) : callTcp(call)))
})
lines.on('close', () => process.exit())

function callTcp([address, port]: Call): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, address)
    socket.setTimeout(DEADLINE_MS, () => socket.destroy(new Error('no answer')))
    socket.on('data', (data) => resolve(String(data)))
    socket.on('error', ({ message }) => resolve(message))
  })
}

function callUdp([address, port, , from]: Call): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const end = (text: string) => {
      clearTimeout(timer)
      socket.close(() => resolve(text))
    }
    const timer = setTimeout(() => end('no answer'), DEADLINE_MS)
    socket.on('message', (data) => end(String(data)))
    socket.on('error', ({ message }) => end(message))
    socket.bind(from, () => socket.send('who am I?', port, address))
  })
}
