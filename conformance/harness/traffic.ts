// Packets: who reaches whom, and under which address.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Namespace } from './node.ts'
import { LEASH } from './process.ts'
import type { Stage } from './stage.ts'

const PEER = fileURLToPath(import.meta.resolve('./peer-address.ts'))

/** One packet, and its answer within a second. */
export async function ping(stage: Stage, from: Namespace, address: string): Promise<boolean> {
  const { status } = await stage.node.exec(['ping', '-c', '1', '-W', '1', '-n', address], { inside: from })
  return status === 0
}

/** Starts a server that tells callers under which address they arrive, or that echoes. @returns how to end it */
export async function serve(
  { name }: Namespace,
  what: 'serve' | 'echo' = 'serve',
): Promise<() => Promise<void>> {
  const [leash, ...words] = [...LEASH, 'ip', 'netns', 'exec', name, process.execPath, PEER, what]
  const child = spawn(leash, words, {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  await once(child.stdout, 'data')
  return async () => {
    child.kill()
    await closed
  }
}

/** @returns the address that the server sees, or why there is no answer */
export async function askPeer(stage: Stage, from: Namespace, address: string): Promise<string> {
  const { stdout } = await stage.node.exec([process.execPath, PEER, 'ask', address], { inside: from })
  return stdout.trim()
}

/** Packets from now on, five a second. @returns how to end it, and then how many had no answer */
export function keepAsking({ name }: Namespace, address: string): () => Promise<number> {
  const [leash, ...words] = [...LEASH, 'ip', 'netns', 'exec', name, 'ping', '-q', '-n', '-i', '0.2', address]
  const child = spawn(leash, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const output = text(child.stdout)
  return async () => {
    child.kill('SIGINT') // it counts, and ends
    const [, sent = '0', received = '0'] =
      /(\d+) packets transmitted, (\d+) received/.exec(await output) ?? []
    return Number(sent) - Number(received)
  }
}

/** A TCP connection that stays, over which a byte can be sent that comes back. */
export function connectEcho(from: Namespace, address: string) {
  const words = ['netns', 'exec', from.name, process.execPath, PEER, 'hold', address]
  const child = spawn('ip', words, { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return {
    async say(word: string): Promise<string> {
      child.stdin.write(`${word}\n`)
      const { value = 'nothing' } = await lines.next()
      return value
    },
    async close(): Promise<void> {
      child.kill()
      await closed
    },
  }
}
