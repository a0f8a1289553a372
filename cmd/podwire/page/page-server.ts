// The page over HTTP, on a loopback address. Whoever is on this machine can connect to it, and so can every web site that
// somebody on this machine visits, by way of the browser. So (docs/adr/0023-page.md):
//
//   - who asks about the node shows a key, which only root can read. It is sent in a header that the page's script sets,
//     never by the browser on its own (no cookie): another site cannot make a browser send it
//   - Host must name this address (a site whose name is made to lead to 127.0.0.1 has another), Origin this origin
//   - only GET and HEAD, without a body; nothing that is asked for changes anything
//   - a request has a size and a time

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { visible } from '../style.ts'
import { hostText, type ListenAddress } from './listen-address.ts'

export interface PageContent {
  /** Path → file: what the browser shows, the same for everybody. */
  readonly files: Readonly<Record<string, PageFile>>
  /** JSON of the node, for `/api/node`. */
  readonly node: () => Promise<Told>
  /** JSON of a pod, for `/api/pods/<container>`. */
  readonly pod: (containerId: string) => Promise<Told | undefined>
}

/** What is told is the same as before, whatever time it is told at. */
type Told = object & { readonly atMs?: number }

export interface PageFile {
  readonly type: string
  readonly text: string
}

export interface PageServerOptions {
  readonly listen: ListenAddress
  /** What who asks about the node must know. */
  readonly key: string
  readonly content: PageContent
  readonly limits?: Partial<PageLimits>
}

interface PageLimits {
  readonly maxClients: number
  /** For the head of a request to come. */
  readonly requestTimeoutMs: number
  /** For who reads nothing, or says nothing more. */
  readonly idleTimeoutMs: number
  readonly maxHeaderBytes: number
}

const LIMITS: PageLimits = {
  maxClients: 64,
  requestTimeoutMs: 5000,
  idleTimeoutMs: 30_000,
  maxHeaderBytes: 8192,
}

export interface PageServer {
  /** With the port that it got. */
  readonly address: ListenAddress
  close(): Promise<void>
}

/** @throws Error with `code` (EADDRINUSE, EACCES, …) when it cannot listen there */
export async function servePage(options: PageServerOptions): Promise<PageServer> {
  const { listen, limits } = options
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const { maxClients, requestTimeoutMs, idleTimeoutMs, maxHeaderBytes } = { ...LIMITS, ...limits }
  const { createServer } = process.getBuiltinModule('node:http')
  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.min(1000, requestTimeoutMs),
  })
  server.maxConnections = maxClients
  server.setTimeout(idleTimeoutMs, (socket) => socket.destroy())
  server.once('error', reject)
  server.listen({ ...listen, exclusive: true }, resolve)
  await promise
  const address = { host: listen.host, port: (server.address() as AddressInfo).port }
  const site = new Site(options, address)
  server.on('request', (request, response) => void site.answer(request, response))
  // What asks to be asked for its body has one, and there is none to be had.
  server.on('checkContinue', (request, response) => void site.answer(request, response))
  return { address, close: () => closeServer(server) }
}

function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeAllConnections()
  return closed
}

interface Answer {
  readonly code: number
  readonly type: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

const PLAIN = 'text/plain; charset=utf-8'
const JSON_TYPE = 'application/json; charset=utf-8'

/** On every answer, also on those that refuse. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const

class Site {
  readonly #content: PageContent
  readonly #key: Buffer
  readonly #hosts: readonly string[]

  constructor({ content, key }: PageServerOptions, address: ListenAddress) {
    this.#content = content
    this.#key = digest(key)
    this.#hosts = [hostText(address), `localhost:${address.port}`]
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { code, type, text, headers } = this.#refuse(request) ?? (await this.#findAnyway(request))
    response.writeHead(code, {
      ...HEADERS,
      'content-type': type,
      'content-length': Buffer.byteLength(text),
      ...headers,
      // What else it sent is not read.
      ...(hasBody(request) ? { connection: 'close' } : {}),
    })
    response.end(request.method === 'HEAD' || code === 304 ? undefined : text)
  }

  #refuse(request: IncomingMessage): Answer | undefined {
    const { method = '', headers } = request
    const hosts = request.headersDistinct['host'] ?? []
    const [host = ''] = hosts
    if (hosts.length !== 1 || !this.#hosts.includes(host))
      return refusal(403, 'this page is not at that host')
    if (method !== 'GET' && method !== 'HEAD')
      return refusal(405, 'the page only shows', { allow: 'GET, HEAD' })
    if (hasBody(request)) return refusal(413, 'a request has no body here')
    const { origin, 'sec-fetch-site': site } = headers
    if (origin !== undefined && origin !== `http://${host}`) return refusal(403, 'another origin may not ask')
    if (site !== undefined && site !== 'same-origin' && site !== 'none')
      return refusal(403, 'another site may not ask')
    return undefined
  }

  async #findAnyway(request: IncomingMessage): Promise<Answer> {
    try {
      return await this.#find(request)
    } catch (error) {
      return refusal(500, error instanceof Error ? error.message : String(error))
    }
  }

  async #find(request: IncomingMessage): Promise<Answer> {
    const path = request.url?.split('?')[0] ?? ''
    const file = Object.hasOwn(this.#content.files, path) ? this.#content.files[path] : undefined
    if (file !== undefined) return { code: 200, ...file }
    if (!path.startsWith('/api/')) return refusal(404, 'there is no such page')
    if (!this.#knowsKey(request)) return refusal(401, 'show the key', { 'www-authenticate': 'Bearer' })
    if (path === '/api/node') return jsonAnswer(request, await this.#content.node())
    const [, container] = /^\/api\/pods\/([A-Za-z0-9][\w.-]{0,511})$/.exec(path) ?? []
    const pod = container === undefined ? undefined : await this.#content.pod(container)
    return pod === undefined ? refusal(404, 'there is no such pod') : jsonAnswer(request, pod)
  }

  #knowsKey({ headers }: IncomingMessage): boolean {
    const [, given = ''] = /^Bearer (\S+)$/.exec(headers.authorization ?? '') ?? []
    return timingSafeEqual(digest(given), this.#key)
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

function refusal(code: number, why: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { code, type: PLAIN, text: `${why}\n`, headers }
}

/** Who has it already is told so: what is asked for every two seconds is mostly the same, but for the time. */
function jsonAnswer({ headers }: IncomingMessage, value: Told): Answer {
  const { atMs, ...lasting } = value
  const text = JSON.stringify(lasting, asSeen)
  const etag = `"${digest(text).toString('base64url')}"`
  if (headers['if-none-match'] === etag) return { code: 304, type: JSON_TYPE, text: '', headers: { etag } }
  const timed = atMs === undefined ? text : `{"atMs":${atMs},${text.slice(1)}`
  return { code: 200, type: JSON_TYPE, text: timed, headers: { etag } }
}

/** Names come from callers: what is not seen in them, or turns text around, is written out. */
function asSeen(_: string, value: unknown): unknown {
  return typeof value === 'string' ? visible(value) : value
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
