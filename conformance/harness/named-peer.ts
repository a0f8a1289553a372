// A server with a name, and its client: says who it is and under which address a caller arrives, over TCP and UDP
// alike. A program of the tests, to be run inside namespaces.
//
//   named-peer.ts serve NAME                         prints `ready`, then serves until it is ended
//   named-peer.ts ask ADDRESS [PORT] [udp] [FROM]    prints what the server at ADDRESS says; FROM is the own port

import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'

const PORT = 8080
const DEADLINE_MS = 3_000

const [command, ...rest] = process.argv.slice(2)
if (command === 'serve') serve(rest[0])
else if (rest[2] === 'udp') askUdp()
else askTcp()

function serve(name = ''): void {
  const answer = (address = '') => `${name} sees ${address.replace(/^::ffff:/, '')}`
  const udp = createSocket('udp6')
  udp.on('message', (_, { address, port }) => udp.send(answer(address), port, address))
  udp.bind(PORT, '::', () => {
    const tcp = createServer((socket) => socket.end(answer(socket.remoteAddress)))
    tcp.listen(PORT, '::', () => console.log('ready'))
  })
}

function askTcp(): void {
  const [address = '', port = PORT] = rest
  const socket = connect(Number(port), address)
  socket.setTimeout(DEADLINE_MS, () => socket.destroy(new Error('no answer')))
  socket.on('data', (data) => console.log(String(data)))
  socket.on('error', ({ message }) => console.log(message))
}

function askUdp(): void {
  const [address = '', port, , from = '0'] = rest
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  const end = (text: string) => {
    console.log(text)
    clearTimeout(timer)
    socket.close()
  }
  const timer = setTimeout(() => end('no answer'), DEADLINE_MS)
  socket.on('message', (data) => end(String(data)))
  socket.on('error', ({ message }) => end(message))
  socket.bind(Number(from), () => socket.send('who am I?', Number(port), address))
}
