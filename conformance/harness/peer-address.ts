// The smallest of servers, and its client: says under which address a caller arrives. A program of the tests, to be
// run inside namespaces.
//
//   peer-address.ts serve           prints `ready`, then serves until it is ended
//   peer-address.ts ask ADDRESS     prints what the server at ADDRESS says
//   peer-address.ts echo            prints `ready`, then sends back what comes, until it is ended
//   peer-address.ts hold ADDRESS    a connection to that: what comes from stdin goes there, and back to stdout

import { connect, createServer } from 'node:net'

const PORT = 8080
const ECHO_PORT = 8081
const DEADLINE_MS = 3_000

const [command, address = ''] = process.argv.slice(2)
if (command === 'serve') {
  const server = createServer((socket) => socket.end((socket.remoteAddress ?? '').replace(/^::ffff:/, '')))
  server.listen(PORT, '::', () => console.log('ready'))
} else if (command === 'echo') {
  createServer((socket) => socket.pipe(socket)).listen(ECHO_PORT, '::', () => console.log('ready'))
} else if (command === 'hold') {
  const socket = connect(ECHO_PORT, address)
  process.stdin.pipe(socket).pipe(process.stdout)
} else {
  const socket = connect(PORT, address)
  socket.setTimeout(DEADLINE_MS, () => socket.destroy(new Error('no answer')))
  socket.on('data', (data) => console.log(String(data)))
  socket.on('error', ({ message }) => console.log(message))
}
