// Packets: who reaches whom, and under which address.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Namespace } from './node.ts'
import type { Stage } from './stage.ts'

const PEER = fileURLToPath(import.meta.resolve('./peer-address.ts'))

/** One packet, and its answer within a second. */
export async function ping(stage: Stage, from: Namespace, address: string): Promise<boolean> {
  const { status } = await stage.node.exec(['ping', '-c', '1', '-W', '1', '-n', address], { inside: from })
  return status === 0
}

/**
 * Starts a server in the namespace that tells callers under which address they arrive.
 *
 * @param as  the server's name, which it tells, too
 * @returns how to end it
 */
export async function serve({ name }: Namespace, as?: string): Promise<() => Promise<void>> {
  const program = [process.execPath, PEER, 'serve', ...(as === undefined ? [] : [as])]
  const child = spawn('ip', ['netns', 'exec', name, ...program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  await once(child.stdout, 'data')
  return async () => {
    child.kill()
    await closed
  }
}

/**
 * @param options  port of the server, `udp`, and for that the own port
 * @returns the address that the server sees, or why there is no answer
 */
export async function askPeer(
  stage: Stage,
  from: Namespace,
  address: string,
  ...options: readonly (string | number)[]
): Promise<string> {
  const program = [process.execPath, PEER, 'ask', address, ...options.map(String)]
  const { stdout } = await stage.node.exec(program, { inside: from })
  return stdout.trim()
}
