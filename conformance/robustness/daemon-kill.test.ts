// The daemon is killed again and again under calls that come at once: whatever it was at, no call fails, no address is
// given to two pods, and when all are gone nothing is left.

import { t as file, test } from 'tap'
import { podwire } from '../harness/contestant.ts'
import { shimmed } from '../harness/daemon.ts'
import { type Namespace, TestNode } from '../harness/node.ts'
import { type Config, callPlugin } from '../harness/plugin.ts'
import type { Exit } from '../harness/process.ts'
import { readWorld } from '../harness/world.ts'
import { inParallel, isLong } from './form.ts'
import { Random } from './random.ts'

const PODS = isLong ? 32 : 8
const CALLS = isLong ? 1000 : 96
/** How long a daemon lives once it is ready, in ms: from the moment of its first call to many calls. */
const LIFE_MS = 120

const random = Random.fromEnvironment()
file.setTimeout(3_600_000)
file.comment(`ROBUSTNESS_SEED=${random.seed}`)

test(`${CALLS} calls of ${PODS} pods at once go well while the daemon is killed under them`, async (t) => {
  const node = await TestNode.create(shimmed())
  t.teardown(() => node.remove())
  const config = configOf(node)
  const call = (command: string, pod: Namespace) =>
    callPlugin(node, { type: podwire.bridge, command, pod, config })
  const look = async () => [
    ...(await readWorld(node.name)),
    ...podwire.listLeases(node.dataDir),
    ...podwire.listAttachments(node.stateDir),
  ]
  const labels = Array.from({ length: PODS }, (_, nth) => `pod${nth}`)
  const pods = await inParallel(labels, 4, (label) => node.addPod(label))
  const [first] = pods as [Namespace]
  for (const command of ['ADD', 'DEL']) await call(command, first)
  const before = await look()

  const holders = new Map<string, string>()
  const comeAndGo = async (pod: Namespace): Promise<string[]> => {
    const faults: string[] = []
    for (let round = 0; round < CALLS / PODS / 2; round++) {
      const added = await call('ADD', pod)
      const addresses = addressesOf(added)
      if (addresses.length !== 2) faults.push(`ADD ${pod.label}: ${added.stdout}${added.stderr}`)
      faults.push(
        ...addresses.filter((one) => holders.has(one)).map((one) => `${one} is ${holders.get(one)}'s`),
      )
      for (const address of addresses) holders.set(address, pod.label)
      for (const address of addresses) holders.delete(address) // before DEL: from then on it may be another's
      const deleted = await call('DEL', pod)
      if (deleted.status !== 0) faults.push(`DEL ${pod.label}: ${deleted.stdout}${deleted.stderr}`)
    }
    return faults
  }

  let isOver = false
  let kills = 0
  const killing = (async () => {
    while (!isOver) {
      await new Promise((resolve) => setTimeout(resolve, random.below(LIFE_MS)))
      await node.daemon?.end('SIGKILL')
      kills++
      await node.restartDaemon()
    }
  })()
  const faults = await Promise.all(pods.map(comeAndGo))
  isOver = true
  await killing
  t.comment(`${kills} kills`)
  t.ok(kills > 0)
  t.same(faults.flat().slice(0, 3), [])
  t.same(difference(before, await look()), [], 'the node is as it was')
})

function configOf({ dataDir }: TestNode): Config {
  return {
    cniVersion: '1.1.0',
    name: 'net',
    type: podwire.bridge,
    isDefaultGateway: true,
    ipMasq: true,
    ipam: {
      type: podwire.hostLocal,
      dataDir,
      // Little more than the pods need: an address that is lost is missed.
      ranges: [[{ subnet: '10.8.0.0/26' }], [{ subnet: '2001:db8:8::/122' }]],
    },
  }
}

function addressesOf({ status, stdout }: Exit): string[] {
  if (status !== 0) return []
  return (JSON.parse(stdout) as { ips: { address: string }[] }).ips.map(({ address }) => address)
}

function difference(before: readonly string[], after: readonly string[]): string[] {
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
  ]
}
