// Health and counters over HTTP, on the same socket as the calls:
//
//   curl --unix-socket /run/podwire/podwire.sock http://podwire/status
//
//   /healthz   200 while the process lives
//   /readyz    200 when calls are served, 503 while it starts or stops
//   /status    everything as JSON
//   /metrics   counters in Prometheus' text format

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface HttpPages {
  readonly isReady: () => boolean
  readonly status: () => object
  readonly metrics: () => string
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
  return create((request, response) => answer(pages, request, response))
}

function answer(pages: HttpPages, { url = '/', method }: IncomingMessage, response: ServerResponse): void {
  const { code, type, text } = renderAnyway(pages, url.split('?')[0] ?? '/')
  response.writeHead(code, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    connection: 'close',
  })
  response.end(method === 'HEAD' ? '' : text)
}

/** The store may not be readable; calls that do not need it are served all the same. */
function renderAnyway(pages: HttpPages, path: string): Page {
  try {
    return render(pages, path)
  } catch (error) {
    return { code: 500, type: PLAIN, text: `${error instanceof Error ? error.message : String(error)}\n` }
  }
}

function render({ isReady, status, metrics }: HttpPages, path: string): Page {
  switch (path) {
    case '/healthz':
      return { code: 200, type: PLAIN, text: 'ok\n' }
    case '/readyz':
      return isReady()
        ? { code: 200, type: PLAIN, text: 'ok\n' }
        : { code: 503, type: PLAIN, text: 'not ready\n' }
    case '/status':
      return { code: 200, type: 'application/json', text: `${JSON.stringify(status(), null, 2)}\n` }
    case '/metrics':
      return { code: 200, type: 'text/plain; version=0.0.4; charset=utf-8', text: metrics() }
    default:
      return { code: 404, type: PLAIN, text: 'there are /healthz, /readyz, /status and /metrics\n' }
  }
}
