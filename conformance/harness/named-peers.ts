// Servers with names, and who calls them.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Namespace } from './node.ts'
import type { Stage } from './stage.ts'

const PEER = fileURLToPath(import.meta.resolve('./named-peer.ts'))

/** Starts a server in the namespace, over TCP and UDP at port 8080. @returns how to end it */
export async function serveAs(name: string, { name: namespace }: Namespace): Promise<() => Promise<void>> {
  const words = ['netns', 'exec', namespace, process.execPath, PEER, 'serve', name]
  const child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  await once(child.stdout, 'data')
  return async () => {
    child.kill()
    await closed
  }
}

/**
 * @param options  port of the server, `udp`, and for that the own port
 * @returns who answers and the address that is seen there, or why there is no answer
 */
export async function callPeer(
  stage: Stage,
  from: Namespace,
  ...options: readonly (string | number)[]
): Promise<string> {
  const program = [process.execPath, PEER, 'ask', ...options.map(String)]
  const { stdout } = await stage.node.exec(program, { inside: from })
  return stdout.trim()
}
