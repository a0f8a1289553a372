// One end of a stream for tests: `node traffic.fixture.ts sink`, or `… source ADDRESS PORT`. The sink tells its port,
// and then of each stream how fast it came.

import { connect, createServer, type Socket } from 'node:net'

/** The first bytes are the burst; the rest come at the rate. */
const SKIPPED_MS = 150
const COUNTED_MS = 600
const CHUNK = Buffer.alloc(64 * 1024)

const [role, address, port] = process.argv.slice(2)
if (role === 'sink') sink()
else source(address ?? '', Number(port))

function sink(): void {
  const server = createServer((socket) => count(socket))
  server.listen(0, '::', () => {
    const listening = server.address()
    if (typeof listening === 'object') process.stdout.write(`${listening?.port}\n`)
  })
}

function count(socket: Socket): void {
  const startMs = performance.now()
  const samples: Sample[] = []
  let bytes = 0
  socket.on('error', () => undefined)
  socket.on('data', (chunk) => {
    bytes += chunk.length
    const ms = performance.now() - startMs
    if (ms < SKIPPED_MS) return
    samples.push({ ms, bytes })
    if (ms < SKIPPED_MS + COUNTED_MS) return
    process.stdout.write(`${Math.round(8000 * slopeOf(samples))}\n`)
    socket.destroy()
  })
}

interface Sample {
  readonly ms: number
  /** All that had arrived by then. */
  readonly bytes: number
}

/** Bytes per millisecond by least squares: a moment in which this process did not run changes little. */
function slopeOf(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, one) => sum + of(one), 0) / samples.length
  const [ms, bytes] = [mean((one) => one.ms), mean((one) => one.bytes)]
  return mean((one) => (one.ms - ms) * (one.bytes - bytes)) / mean((one) => (one.ms - ms) ** 2)
}

function source(address: string, port: number): void {
  const socket = connect(port, address)
  const send = () => {
    while (socket.write(CHUNK));
  }
  socket.on('connect', send).on('drain', send)
  socket.on('error', () => process.exit())
  socket.on('close', () => process.exit())
}
