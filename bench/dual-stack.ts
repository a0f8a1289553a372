// `npm run bench:dual-stack`: what a second family costs an ADD. Pods with IPv4 and pods with both come and go in turn,
// on bridges of their own on one node.
//
//   node bench/dual-stack.ts [--runs N] [--enforce]     --enforce: exit status 1 when the ratio is above the goal

import { parseArgs } from 'node:util'
import { describe, interleave, median, type Subject, time } from './interleave.ts'
import { type Config, openNode } from './node.ts'

const GOAL = 1.3
const IPV4 = [{ subnet: '10.1.0.0/16' }]
const IPV6 = [{ subnet: 'fd00:1::/64' }]

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { runs: { type: 'string' }, enforce: { type: 'boolean' } } })
  const { node, call, close } = await openNode()
  try {
    const pod = await node.addPod('pod1')
    const netconf = (bridge: string, ranges: readonly object[]): Config => ({
      cniVersion: '1.0.0',
      name: bridge,
      type: node.contestant.bridge,
      bridge,
      isDefaultGateway: true,
      ipMasq: true,
      ipam: { type: node.contestant.hostLocal, dataDir: node.dataDir, ranges },
    })
    const subject = (label: string, config: Config): Subject => ({
      label,
      timesMs: [],
      run() {
        const taken = time(() => call('ADD', config, pod))
        call('DEL', config, pod)
        return taken
      },
    })
    const single = subject('ADD with IPv4', netconf('br4', [IPV4]))
    const dual = subject('ADD with IPv4 and IPv6', netconf('br46', [IPV4, IPV6]))
    interleave([single, dual], Number(values.runs ?? 60))
    for (const one of [single, dual]) console.log(describe(one))
    const ratio = median(dual) / median(single)
    console.log(`ratio ${ratio.toFixed(3)}, goal ${GOAL}`)
    if (values.enforce === true && ratio > GOAL) process.exitCode = 1
  } finally {
    await close()
  }
}

await main()
