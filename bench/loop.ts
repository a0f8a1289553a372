// How long the daemon's event loop is held at a stretch, and by what, while pods come and go beside each other: what the
// built daemon tells of itself at the end.
//
//   node bench/loop.ts [--seconds N] [--pods N]

import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { podwire } from '../conformance/harness/contestant.ts'
import { shimmed } from '../conformance/harness/daemon.ts'
import { type Namespace, TestNode } from '../conformance/harness/node.ts'
import { bridgeConfig, callPlugin } from '../conformance/harness/plugin.ts'
import { run } from '../conformance/harness/process.ts'
import type { LongestStretch } from '../lib/daemon/loop-stretches.ts'

const SCRAPE_MS = 2000

interface Status {
  readonly eventLoopDelayMaxMs: number
  readonly longestStretches: readonly LongestStretch[]
  readonly calls: readonly object[]
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seconds: { type: 'string' }, pods: { type: 'string' } } })
  const node = await TestNode.create(shimmed())
  try {
    const pods: Namespace[] = []
    for (let i = 0; i < Number(values.pods ?? 8); i++) pods.push(await node.addPod(`p${i}`))
    const config = bridgeConfig(node, { ranges: [[{ subnet: '10.8.0.0/24' }]] })
    const until = performance.now() + 1000 * Number(values.seconds ?? 60)
    const call = async (command: string, pod: Namespace, more: object = {}) => {
      const { status, stdout } = await callPlugin(node, {
        type: podwire.bridge,
        command,
        pod,
        config: { ...config, ...more },
      })
      if (status !== 0) throw new Error(`${command}: ${stdout}`)
      return stdout
    }
    const comeAndGo = async (pod: Namespace) => {
      while (performance.now() < until) {
        const prevResult: unknown = JSON.parse(await call('ADD', pod))
        await call('CHECK', pod, { prevResult })
        await call('DEL', pod)
      }
    }
    const look = async () => {
      while (performance.now() < until) {
        await ask(node, '/metrics')
        await pause(SCRAPE_MS)
      }
    }
    await Promise.all([...pods.map(comeAndGo), look()])
    const { eventLoopDelayMaxMs, longestStretches, calls } = JSON.parse(await ask(node, '/status')) as Status
    console.log(`event loop: ${eventLoopDelayMaxMs.toFixed(1)} ms late at most`)
    for (const one of longestStretches) console.log(JSON.stringify(one))
    for (const one of calls) console.log(JSON.stringify(one))
    for (const line of (await ask(node, '/metrics')).split('\n'))
      if (/^podwire_(loop_stretch|loop_stretch_cpu|event_loop_delay)_seconds_(bucket|count)/.test(line))
        console.log(line)
  } finally {
    await node.remove()
  }
}

async function ask(node: TestNode, path: string): Promise<string> {
  const { stdout } = await run(['curl', '-s', '--unix-socket', node.socketPath, `http://podwire${path}`])
  return stdout
}

await main()
