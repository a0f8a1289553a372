// The smallest of servers, and its client: says under which address a caller arrives. A program of the tests, to be
// run inside namespaces.
//
//   peer-address.ts serve           prints `ready`, then serves until it is ended
//   peer-address.ts ask ADDRESS     prints what the server at ADDRESS says

import { connect, createServer } from 'node:net'

const PORT = 8080
const DEADLINE_MS = 3_000

const [command, address = ''] = process.argv.slice(2)
if (command === 'serve') {
  const server = createServer((socket) => socket.end((socket.remoteAddress ?? '').replace(/^::ffff:/, '')))
  server.listen(PORT, '::', () => console.log('ready'))
} else {
  const socket = connect(PORT, address)
  socket.setTimeout(DEADLINE_MS, () => socket.destroy(new Error('no answer')))
  socket.on('data', (data) => console.log(String(data)))
  socket.on('error', ({ message }) => console.log(message))
}
