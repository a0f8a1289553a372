// `podwire daemon --check`, with which a kubelet asks whether the daemon serves.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { makeNode } from './node.fixture.ts'

/** A daemon that answers so when it is asked whether it is ready. */
async function serve(t: Test, code: number, text: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'podwire-')) // a socket's path is short
  t.teardown(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'd.sock')
  const server = createServer(({ url }, response) => {
    t.equal(url, '/readyz')
    response.writeHead(code).end(text)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(() => server.close())
  return path
}

const check = (socket: string) => makeNode().podwire('daemon', '--check', '--socket', socket)

test('daemon --check tells whether the daemon serves', async (t) => {
  t.match(await check(await serve(t, 200, 'ok\n')), { exitStatus: 0, stdout: 'ok\n' })
  t.match(await check(await serve(t, 503, 'not ready\n')), { exitStatus: 1, stdout: 'not ready\n' })
})

test('daemon --check fails where there is none', async (t) => {
  const { exitStatus, stdout } = await check('/nonexistent/d.sock')
  t.equal(exitStatus, 1)
  t.match(stdout, /^ask the daemon at "\/nonexistent\/d\.sock": .*ENOENT/)
})
