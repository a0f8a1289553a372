// Against an API server of our own: HTTPS, with a certificate made on the spot.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { Disk } from './disk.ts'
import { makeNode } from './node.fixture.ts'
import { type ApiServer, findApiServer, nodeRanges } from './node-ranges.ts'

const PATH = '/api/v1/nodes?watch=true&fieldSelector=metadata.name%3Dworker-1'
const DUAL = ['10.244.3.0/24', 'fd00:10:244:3::/64']

const event = (type: string, spec: object) =>
  `${JSON.stringify({ type, object: { kind: 'Node', metadata: { name: 'worker-1' }, spec } })}\n`

type Answer = (request: IncomingMessage, response: ServerResponse) => void

function makeCertificate(t: Test): { key: string; cert: string } {
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(t.testdirName, name)) as [string, string]
  t.testdir({})
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '1',
    ].concat([
      '-subj',
      '/CN=kube-apiserver',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      key,
      '-out',
      cert,
    ]),
    { stdio: 'pipe' },
  )
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}

/** @returns it as a pod would find it */
async function serve(t: Test, answer: Answer): Promise<ApiServer> {
  const { key, cert } = makeCertificate(t)
  const server = createServer({ key, cert }, answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, ca: cert, token: 'secret' }
}

test('nodeRanges returns the ranges that the node has', async (t) => {
  const api = await serve(t, ({ url, headers }, response) => {
    t.equal(url, PATH)
    t.equal(headers.authorization, 'Bearer secret')
    response.write(event('ADDED', { podCIDR: DUAL[0], podCIDRs: DUAL })) // and the watch goes on
  })
  t.strictSame(await nodeRanges(api, 'worker-1'), DUAL)
})

test('nodeRanges waits for a node that has none yet, and takes events apart however they arrive', async (t) => {
  const given = event('MODIFIED', { podCIDRs: ['10.244.3.0/24'] })
  const api = await serve(t, (_, response) => {
    response.write(event('BOOKMARK', { podCIDRs: ['10.9.0.0/24'] }))
    response.write(event('ADDED', {}) + given.slice(0, 40), () => response.write(given.slice(40)))
  })
  t.strictSame(await nodeRanges(api, 'worker-1'), ['10.244.3.0/24'])
})

test('nodeRanges gives up at the deadline, or when the watch ends, and says what the cluster lacks', async (t) => {
  const message = /"worker-1": it has no spec\.podCIDRs yet/
  const silent = await serve(t, (_, response) => void response.write(event('ADDED', {})))
  await t.rejects(nodeRanges(silent, 'worker-1', 100), { message, remedy: /--allocate-node-cidrs/ })
  const ending = await serve(t, (_, response) => void response.end(event('ADDED', {})))
  await t.rejects(nodeRanges(ending, 'worker-1'), { message })
})

test('nodeRanges says what the API server says when it refuses', async (t) => {
  const message = 'nodes is forbidden: User "system:serviceaccount:kube-system:podwire" cannot watch'
  const forbidding = await serve(t, (_, response) =>
    response.writeHead(403).end(JSON.stringify({ kind: 'Status', message })),
  )
  await t.rejects(nodeRanges(forbidding, 'worker-1'), {
    message: `watch node "worker-1" at https://127.0.0.1:${forbidding.port}: 403 ${message}`,
    remedy: /ClusterRole/,
  })
  const failing = await serve(t, (_, response) =>
    response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', message: 'too old' } })}\n`),
  )
  await t.rejects(nodeRanges(failing, 'worker-1'), { message: 'watch node "worker-1": too old' })
})

const unavailable = { kind: 'Status', code: 504, message: 'no leader' }
const page = '<html>\n<h1>503</h1>\n</html>\n'

for (const [what, answer, message] of [
  ['answers 500', (_, response) => response.writeHead(500).end('{"message":"etcd"}'), /: 500 etcd$/],
  ['answers 429', (_, response) => response.writeHead(429).end('{"message":"wait"}'), /: 429 wait$/],
  [
    'is behind a load balancer that has none',
    (_, response) => response.writeHead(503).end(page),
    /: 503 <html> <h1>503<\/h1> <\/html>$/,
  ],
  [
    'gives the watch up',
    (_, response) => response.end(`${JSON.stringify({ type: 'ERROR', object: unavailable })}\n`),
    /"worker-1": no leader$/,
  ],
  ['ends the watch at once', (_, response) => response.writeHead(200).end(), /nothing was told of it$/],
  ['says nothing', (_, response) => response.writeHead(200).flushHeaders(), /nothing was told of it$/],
] as const satisfies readonly (readonly [string, Answer, RegExp])[])
  test(`nodeRanges says that it could not ask when the API server ${what}`, async (t) => {
    const api = await serve(t, answer)
    await t.rejects(nodeRanges(api, 'worker-1', 1_000), { code: 'EUNREACHABLE', message })
  })

test('nodeRanges tells a token that is not taken from a right that is missing', async (t) => {
  const api = await serve(t, (_, response) => response.writeHead(401).end('{"message":"Unauthorized"}'))
  await t.rejects(nodeRanges(api, 'worker-1'), { code: 'ECOMMAND', message: /: 401 /, remedy: /token/ })
})

test('nodeRanges does not speak to a server whose certificate is not of the cluster', async (t) => {
  const api = await serve(t, () => t.fail('it got the token'))
  const { cert } = makeCertificate(t)
  const distrusted = { code: 'EUNREACHABLE', remedy: /certificate/ }
  await t.rejects(nodeRanges({ ...api, ca: cert }, 'worker-1'), distrusted)
  await t.rejects(nodeRanges({ ...api, host: 'localhost' }, 'worker-1'), distrusted, 'nor is it for the name')
})

test('nodeRanges tells where nobody listens', async (t) => {
  const api = { host: '127.0.0.1', port: 1, ca: '', token: 'x' }
  await t.rejects(nodeRanges(api, 'worker-1'), {
    code: 'EUNREACHABLE',
    message: /^ask the API server at https:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/,
    remedy: /kube-proxy/,
  })
})

test('findApiServer finds what a pod is given', async (t) => {
  const account = { 'ca.crt': 'CA\n', token: 'secret\n' }
  const root = t.testdir({ var: { run: { secrets: { 'kubernetes.io': { serviceaccount: account } } } } })
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }
  t.strictSame(findApiServer(environment, new Disk(root)), {
    host: 'fd00::1',
    port: 6443,
    ca: 'CA',
    token: 'secret',
  })
  t.throws(() => findApiServer(environment, new Disk(join(root, 'var'))), {
    message: /no ca\.crt or no token/,
  })
  t.throws(() => findApiServer({}, new Disk(root)), { message: /KUBERNETES_SERVICE_HOST is not set/ })
})

test('install --node needs a pod, and --node or --subnet', async (t) => {
  const { podwire } = makeNode({ about: { environment: {} } })
  const install = (...words: readonly string[]) => podwire('install', '--conflist', t.testdir({}), ...words)
  t.match(await install('--node', 'worker-1'), { exitStatus: 1, stderr: /--node is for pods of the cluster/ })
  t.match(await install('--node', 'worker-1', '--subnet', '10.9.1.0/24'), {
    exitStatus: 2,
    stderr: /--subnet or --node, not both/,
  })
})
