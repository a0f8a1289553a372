import { once } from 'node:events'
import { connect } from 'node:net'
import { type Test, test } from 'tap'
import { MetricsPort, type MetricsPortOptions } from './metrics-port.ts'

const HOST = '127.0.0.1'
const PAGES = { isReady: () => false, metrics: async () => 'podwire_x 1\n' }

async function open(t: Test, options?: MetricsPortOptions) {
  const port = await MetricsPort.open({ host: HOST, port: 0 }, PAGES, options)
  t.teardown(() => port.close())
  return port
}

/** Sends a text. @returns what comes until the end */
async function say(port: MetricsPort, text: string): Promise<string> {
  const socket = connect(port.port, HOST)
  socket.write(text)
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  return answer
}

test('three pages are told, to who only looks', async (t) => {
  const port = await open(t)
  const rows: [request: string, status: number, body: RegExp][] = [
    ['GET /metrics', 200, /\r\n\r\npodwire_x 1\n$/],
    ['GET /metrics?x=1', 200, /\r\n\r\npodwire_x 1\n$/],
    ['HEAD /metrics', 200, /\r\n\r\n$/],
    ['GET /healthz', 200, /\r\n\r\nok\n$/],
    ['GET /readyz', 503, /not ready/],
    ['GET /status', 404, /there are \/healthz, \/readyz and \/metrics\n$/],
    ['POST /metrics', 405, /\r\nallow: GET, HEAD\r\n/],
    ['GET /../../etc/passwd', 404, /there are/],
  ]
  for (const [request, status, body] of rows) {
    const answer = await say(port, `${request} HTTP/1.1\r\nHost: x\r\n\r\n`)
    t.match(answer, new RegExp(`^HTTP/1.1 ${status} `), request)
    t.match(answer, body, request)
    t.match(answer, /\r\nConnection: close\r\n/i, request)
  }
})

test('what is no HTTP, too long or too slow is cut off', async (t) => {
  const port = await open(t, { timeoutMs: 100 })
  t.match(await say(port, 'hello\r\n\r\n'), /^HTTP\/1.1 400 /)
  t.match(await say(port, `GET / HTTP/1.1\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`), /^HTTP\/1.1 431 /)
  // Without a deadline this would not end.
  t.match(await say(port, 'GET /metrics HTTP/1.1\r\nHost: x\r\n'), /^(HTTP\/1.1 408 |$)/)
  t.match(await say(port, ''), /^(HTTP\/1.1 408 |$)/)
})

test('one client too many is not heard', async (t) => {
  const port = await open(t, { maxConnections: 1 })
  const first = connect(port.port, HOST)
  await once(first, 'connect')
  first.write('GET ')
  // Accepted in order: when the second is refused, the first was there.
  const second = await say(port, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n').catch(({ code }) => code)
  t.match(second, /^$|ECONNRESET|EPIPE/)
  first.destroy()
})

test('an address that cannot be had is an error that names it', async (t) => {
  const port = await open(t)
  await t.rejects(MetricsPort.open({ host: HOST, port: port.port }, PAGES), {
    code: 'EADDRESS',
    message: new RegExp(`listen on ${HOST} port ${port.port}: .*EADDRINUSE`),
  })
})

test('a port that is closed keeps nobody', async (t) => {
  const port = await MetricsPort.open({ host: HOST, port: 0 }, PAGES)
  const client = connect(port.port, HOST)
  await once(client, 'connect')
  const gone = once(client, 'close')
  client.on('error', () => undefined)
  await port.close()
  await gone
  t.pass('the client was cut off')
})
