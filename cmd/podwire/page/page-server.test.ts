// The rules of who may ask for what, on real sockets: what is sent is what a client could send, byte by byte.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { type Test, test } from 'tap'
import { type PageServerOptions, servePage } from './page-server.ts'

const KEY = 'k'.repeat(43)

async function start(t: Test, limits: PageServerOptions['limits'] = {}) {
  let asked = 0
  const askedPods: string[] = []
  const server = await servePage({
    listen: { host: '127.0.0.1', port: 0 },
    key: KEY,
    limits,
    content: {
      files: { '/': { type: 'text/html; charset=utf-8', text: '<p>hello' } },
      node: async () => ({ atMs: ++asked, name: 'a node' }),
      pod: async (containerId) => {
        askedPods.push(containerId)
        if (containerId === 'broken') throw new Error('the store cannot be read')
        if (containerId === 'turned') return { name: 'a\u202eb\u001b[2J' }
        return containerId === 'known' ? { containerId } : undefined
      },
    },
  })
  t.teardown(() => server.close())
  const { port } = server.address
  const open = () => connect(port, '127.0.0.1').on('error', () => undefined)
  /** @param head  lines of a request; HOST stands for the server's own */
  const send = async (...head: readonly string[]) => {
    const lines = head.map((line) =>
      line.replaceAll('HOST', `127.0.0.1:${port}`).replaceAll('PORT', `${port}`),
    )
    const socket = open()
    socket.end(`${lines.join('\r\n')}\r\n\r\n`)
    return readAnswer(await text(socket))
  }
  const get = (path: string, ...more: readonly string[]) =>
    send(`GET ${path} HTTP/1.1`, 'Host: HOST', 'Connection: close', ...more)
  return { server, port, open, send, get, askedTimes: () => asked, askedPods }
}

function readAnswer(answer: string) {
  const [head = '', ...body] = answer.split('\r\n\r\n')
  const [status = '', ...lines] = head.split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => [line.split(':', 1)[0]?.toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  )
  return { code: Number(status.split(' ')[1]), headers, body: body.join('\r\n\r\n') }
}

const BEARER = `Authorization: Bearer ${KEY}`

test('the page is for everybody on the machine, the node for who has the key', async (t) => {
  const { get } = await start(t)
  t.match(await get('/'), {
    code: 200,
    body: '<p>hello',
    headers: { 'content-type': 'text/html; charset=utf-8' },
  })
  t.match(await get('/api/node', BEARER), { code: 200, body: '{"atMs":1,"name":"a node"}' })
  t.match(await get('/api/pods/known', BEARER), { code: 200, body: '{"containerId":"known"}' })
  t.same(
    JSON.parse((await get('/api/pods/turned', BEARER)).body),
    { name: 'a\\u202eb\\u001b[2J' },
    'names are seen',
  )
  for (const wrong of ['', `${KEY}x`, KEY.slice(1), `${KEY} ${KEY}`]) {
    for (const path of ['/api/node', '/api/pods/known', '/api/nothing']) {
      const { code, body, headers } = await get(path, `Authorization: Bearer ${wrong}`)
      t.same(
        [code, body, headers['www-authenticate']],
        [401, 'show the key\n', 'Bearer'],
        `${path} with "${wrong}"`,
      )
    }
  }
  t.match(await get('/api/node'), { code: 401 })
  t.match(
    await get('/api/node', `Cookie: key=${KEY}`),
    { code: 401 },
    'what browsers send on their own counts for nothing',
  )
  t.match(await get(`/api/node?key=${KEY}`), { code: 401 }, 'nor what is in addresses, which are kept')
})

test('a host, an origin or a site that is not the page’s own is refused, with and without the key', async (t) => {
  const { send, get, askedTimes } = await start(t)
  const ask = (...lines: readonly string[]) =>
    send('GET /api/node HTTP/1.1', 'Connection: close', BEARER, ...lines)
  const own = [
    ['Host: HOST'],
    ['Host: localhost:PORT'],
    ['Host: HOST', 'Origin: http://HOST', 'Sec-Fetch-Site: same-origin'],
  ]
  for (const lines of own) t.match(await ask(...lines), { code: 200 }, lines.join())
  const before = askedTimes()
  const foreign = [
    ['Host: 127.0.0.1'],
    ['Host: localhost'],
    ['Host: evil.example:PORT'],
    ['Host: 127.0.0.1.evil.example:PORT'],
    ['Host: 127.0.0.2:PORT'],
    ['Host: [::1]:PORT'],
    ['Host: HOST', 'Host: HOST'],
    ['Host: HOST', 'Origin: http://evil.example'],
    ['Host: HOST', 'Origin: null'],
    ['Host: HOST', 'Origin: https://HOST'],
    ['Host: HOST', 'Origin: http://localhost:PORT'],
    ['Host: HOST', 'Origin: http://127.0.0.1:1'],
    ['Host: HOST', 'Sec-Fetch-Site: cross-site'],
    ['Host: HOST', 'Sec-Fetch-Site: same-site'],
  ]
  for (const lines of foreign) t.match(await ask(...lines), { code: 403 }, lines.join())
  t.match(await ask(), { code: 400 }, 'no host at all')
  t.match(await get('/', 'Origin: http://evil.example'), { code: 403 })
  t.match(await send('GET http://evil.example/ HTTP/1.1', 'Host: HOST', 'Connection: close'), { code: 404 })
  t.equal(askedTimes(), before, 'nobody looked at the node for them')
})

test('only GET and HEAD, without a body', async (t) => {
  const { send, get } = await start(t)
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
    const { code, headers } = await send(
      `${method} /api/node HTTP/1.1`,
      'Host: HOST',
      'Connection: close',
      BEARER,
    )
    t.same([code, headers['allow']], [405, 'GET, HEAD'], method)
  }
  t.match(await send('HEAD / HTTP/1.1', 'Host: HOST', 'Connection: close'), {
    code: 200,
    body: '',
    headers: { 'content-length': '8' },
  })
  for (const body of ['Content-Length: 5', 'Transfer-Encoding: chunked']) {
    const { code, headers } = await get('/', body)
    t.same([code, headers['connection']], [413, 'close'], body)
  }
  t.match(await get('/', 'Content-Length: 5', 'Expect: 100-continue'), { code: 413 })
})

test('what is not there is not there, however it is written', async (t) => {
  const { get, askedPods } = await start(t)
  for (const path of ['/x', '/../etc/passwd', '/page.url', '/constructor', '//', '/%2e%2e/', '/__proto__'])
    t.match(await get(path), { code: 404 }, path)
  for (const name of ['', 'unknown', '..', '../known', 'known/', '%6bnown', '.known', 'a'.repeat(600)])
    t.match(await get(`/api/pods/${name}`, BEARER), { code: 404 }, name)
  t.same(askedPods, ['unknown'], 'what cannot be a container’s id is not looked for')
  t.match(await get('/api/pods/broken', BEARER), { code: 500, body: 'the store cannot be read\n' })
})

test('every answer is closed to scripts, frames and guesses of others', async (t) => {
  const { get, send } = await start(t)
  const answers = [
    await get('/'),
    await get('/x'),
    await get('/api/node'),
    await get('/api/node', BEARER),
    await send('POST / HTTP/1.1', 'Host: HOST', 'Connection: close'),
    await send('GET / HTTP/1.1', 'Host: evil', 'Connection: close'),
  ]
  for (const { headers, code } of answers) {
    const policy = headers['content-security-policy'] ?? ''
    t.match(policy, /^default-src 'none'; script-src 'self'; /, String(code))
    t.notMatch(policy, /unsafe|data:|\*/)
    t.match(headers, {
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    })
    t.notOk(
      Object.keys(headers).some((name) => name.startsWith('access-control')),
      'no other origin is let in',
    )
  }
})

test('who has seen the same already is only told so', async (t) => {
  const { get } = await start(t)
  const { etag = '' } = (await get('/api/node', BEARER)).headers
  t.match(await get('/api/node', BEARER, `If-None-Match: ${etag}`), {
    code: 304,
    body: '',
    headers: { etag },
  })
  t.match(await get('/api/node', BEARER, 'If-None-Match: "other"'), { code: 200 })
  t.match(await get('/api/node', `If-None-Match: ${etag}`), { code: 401 })
})

async function closed(socket: Socket): Promise<string> {
  const answer = await text(socket)
  if (!socket.closed) await once(socket, 'close')
  return answer
}

test('a request that is too long, too slow or one too many is turned away, and others are served', async (t) => {
  const { get, open, port } = await start(t, { requestTimeoutMs: 200, maxClients: 3 })
  t.match(await get('/', `X-Long: ${'x'.repeat(9000)}`), { code: 431 })
  t.match(await get(`/${'x'.repeat(9000)}`), { code: 431 })

  const slow = open()
  slow.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`)
  t.match(await closed(slow), /^HTTP\/1\.1 408 /)

  const silent = [open(), open(), open()]
  await Promise.all(silent.map((socket) => once(socket, 'connect')))
  t.equal(await closed(open()), '', 'a fourth is dropped')
  await Promise.all(silent.map(closed))
  t.match(await get('/'), { code: 200 })

  const patient = open()
  patient.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  t.match(await closed(patient), /hello$/, 'one that has its answer and says nothing more is not kept')
})

test('what is no HTTP is answered with an error, and nothing breaks', async (t) => {
  const { get, open } = await start(t)
  for (const bytes of [
    'EHLO\r\n\r\n',
    '\0\0\0\0',
    'GET / HTTP/9.9\r\n\r\n',
    'CONNECT evil:80 HTTP/1.1\r\nHost: evil\r\n\r\n',
  ]) {
    const socket = open()
    socket.write(bytes)
    socket.end()
    t.notMatch(await closed(socket), /^HTTP\/1\.1 2/, bytes)
  }
  const { code } = await get('/', 'Upgrade: websocket', 'Connection: Upgrade')
  t.ok(code === 200 || code === 400, 'no other protocol is spoken')
})

test('the page is at an IPv6 address as well', async (t) => {
  const content = {
    files: { '/': { type: 'text/plain', text: 'hello' } },
    node: async () => ({}),
    pod: async () => undefined,
  }
  const server = await servePage({ listen: { host: '::1', port: 0 }, key: KEY, content })
  t.teardown(() => server.close())
  for (const [host, code] of [
    [`[::1]:${server.address.port}`, 200],
    [`::1:${server.address.port}`, 403],
  ] as const) {
    const socket = connect(server.address.port, '::1')
    socket.end(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    t.match(readAnswer(await text(socket)), { code })
  }
})

test('a port that somebody has is an error that says so', async (t) => {
  const { server } = await start(t)
  const content = { files: {}, node: async () => ({}), pod: async () => undefined }
  await t.rejects(servePage({ listen: server.address, key: KEY, content }), { code: 'EADDRINUSE' })
})
