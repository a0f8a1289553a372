// Health and counters over HTTP, on the same socket as the calls:
//
//   curl --unix-socket /run/podwire/podwire.sock http://podwire/status
//
//   /healthz   200 while the process lives
//   /readyz    200 when calls are served, 503 while it starts or stops
//   /status    everything as JSON
//   /metrics   counters in Prometheus' text format
//
// All but /status also on a port, if asked for (metrics-port.ts).

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface HttpPages {
  readonly isReady: () => boolean
  /** Not for the port: it tells of single pods. */
  readonly status?: () => object
  readonly metrics: () => Promise<string>
}

interface Page {
  readonly code: number
  readonly type: string
  readonly text: string
}

const PLAIN = 'text/plain; charset=utf-8'

/** Loaded with the first request: most daemons are never asked. */
export function createHttpEndpoint(pages: HttpPages): (socket: Socket) => void {
  let server: Server | undefined
  return (socket) => {
    server ??= createServer(pages)
    server.emit('connection', socket)
  }
}

function createServer(pages: HttpPages): Server {
  const { createServer: create } = process.getBuiltinModule('node:http')
  return create((request, response) => void answer(pages, request, response))
}

/** Never rejects. */
export async function answer(
  pages: HttpPages,
  { url = '/', method }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const isRead = method === 'GET' || method === 'HEAD'
  const { code, type, text } = isRead
    ? await renderAnyway(pages, url.split('?')[0] ?? '/')
    : { code: 405, type: PLAIN, text: 'GET only\n' }
  response.writeHead(code, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    connection: 'close',
    ...(isRead ? {} : { allow: 'GET, HEAD' }),
  })
  response.end(method === 'HEAD' ? '' : text)
}

/** The store may not be readable; calls that do not need it are served all the same. */
async function renderAnyway(pages: HttpPages, path: string): Promise<Page> {
  try {
    return await render(pages, path)
  } catch (error) {
    return { code: 500, type: PLAIN, text: `${error instanceof Error ? error.message : String(error)}\n` }
  }
}

async function render({ isReady, status, metrics }: HttpPages, path: string): Promise<Page> {
  switch (path) {
    case '/healthz':
      return { code: 200, type: PLAIN, text: 'ok\n' }
    case '/readyz':
      return isReady()
        ? { code: 200, type: PLAIN, text: 'ok\n' }
        : { code: 503, type: PLAIN, text: 'not ready\n' }
    case '/metrics':
      return { code: 200, type: 'text/plain; version=0.0.4; charset=utf-8', text: await metrics() }
    case '/status':
      if (status === undefined) break
      return { code: 200, type: 'application/json', text: `${JSON.stringify(status(), null, 2)}\n` }
  }
  const paths = ['/healthz', '/readyz', ...(status === undefined ? [] : ['/status'])]
  return { code: 404, type: PLAIN, text: `there are ${paths.join(', ')} and /metrics\n` }
}
