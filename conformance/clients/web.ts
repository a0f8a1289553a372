// Reaching the web servers in containers (image.ts).

import { fileURLToPath } from 'node:url'
import type { Namespace, TestNode } from '../harness/node.ts'
import { mustRun, run } from '../harness/process.ts'

const PEER = fileURLToPath(import.meta.resolve('../harness/peer-address.ts'))
const DEADLINE_MS = 10_000
const PAUSE_MS = 20

/** @returns what is served there, or `nothing` */
export async function fetchText(from: Namespace, url: string): Promise<string> {
  const { status, stdout } = await run(['ip', 'netns', 'exec', from.name, ...wget(url)])
  return status === 0 ? stdout : 'nothing'
}

/** A program that prints it. Debian's busybox crashes with -q and with -T. */
export function wget(url: string): string[] {
  return ['timeout', '3', '/bin/busybox', 'wget', '-O', '-', url]
}

/** A container is said to run before its server listens, and nobody says when it does. */
export async function awaitServer(node: TestNode, url: string): Promise<void> {
  for (const endMs = Date.now() + DEADLINE_MS; Date.now() < endMs; ) {
    if ((await fetchText(node, url)) !== 'nothing') return
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  throw new Error(`nothing is served at ${url}: ${await mustRun('ip', '-n', node.name, 'route')}`)
}

/** A program that prints the address that the server at `address` sees (harness/traffic.ts), or why there is no answer. */
export function askCommand(address: string): string[] {
  return [process.execPath, PEER, 'ask', address]
}

export function urlOf(address: string, port: number, path = ''): string {
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}/${path}`
}
