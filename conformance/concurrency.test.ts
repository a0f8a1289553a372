// Many at once, and many one after another: every pod gets an address of its own, and nothing piles up.

import { t as root, type Test, test } from 'tap'
import { podwire } from './harness/contestant.ts'
import { type Namespace, TestNode } from './harness/node.ts'
import { DEADLINE_MS } from './harness/play-area.ts'
import { bridgeConfig, type Config, callPlugin } from './harness/plugin.ts'
import { readWorld } from './harness/world.ts'

const AT_ONCE = 64
const IN_A_ROW = 20

root.setTimeout(DEADLINE_MS)

/** A node on which a pod has been, so that what stays of a network is there. */
async function open(t: Test, ipam: Config) {
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  const config = bridgeConfig(node, ipam)
  const call = (command: string, pod: Namespace, containerId = pod.label) =>
    callPlugin(node, { type: podwire.bridge, command, pod, containerId, config })
  const first = await node.addPod('first')
  t.equal((await call('ADD', first)).status, 0)
  t.equal((await call('DEL', first)).status, 0)
  return { node, call, first }
}

/** Kernel and stores. */
async function stateOf({ name, dataDir, stateDir }: TestNode): Promise<string[]> {
  return [...(await readWorld(name)), ...podwire.listLeases(dataDir), ...podwire.listAttachments(stateDir)]
}

test('64 ADDs at once give 64 addresses, and 64 DELs leave nothing', { timeout: DEADLINE_MS }, async (t) => {
  // 66 usable addresses, of which one is the gateway's and one was the first pod's: all are needed but one.
  const range = { subnet: '10.1.0.0/24', rangeStart: '10.1.0.1', rangeEnd: '10.1.0.66' }
  const { node, call } = await open(t, { ranges: [[range], [{ subnet: 'fd00:1::/64' }]] })
  const before = await stateOf(node)
  const pods: Namespace[] = []
  for (let i = 0; i < AT_ONCE; i++) pods.push(await node.addPod(`p${i}`))
  const added = await Promise.all(pods.map((pod) => call('ADD', pod)))
  t.same(
    added.filter(({ status }) => status !== 0).map(({ stdout }) => stdout),
    [],
    'none fails while addresses are left',
  )
  const addresses = added.flatMap(({ stdout }) => (JSON.parse(stdout) as { ips: { address: string }[] }).ips)
  t.equal(new Set(addresses.map(({ address }) => address)).size, 2 * AT_ONCE, 'every address is given once')
  t.equal(podwire.listLeases(node.dataDir).length, 2 * AT_ONCE)
  const deleted = await Promise.all(pods.map((pod) => call('DEL', pod)))
  t.same(
    deleted.filter(({ status }) => status !== 0).map(({ stdout }) => stdout),
    [],
  )
  t.same(await stateOf(node), before, 'the world is as it was')
})

test('20 pods one after another leave nothing behind', { timeout: DEADLINE_MS }, async (t) => {
  const { node, call, first } = await open(t, { subnet: '10.1.0.0/26' })
  const before = await stateOf(node)
  for (let i = 0; i < IN_A_ROW; i++) {
    const answers = [await call('ADD', first, `c${i}`), await call('DEL', first, `c${i}`)]
    const failed = answers.filter(({ status }) => status !== 0)
    if (failed.length > 0) return t.fail(`pod ${i}: ${failed.map(({ stdout }) => stdout).join()}`)
  }
  t.same(await stateOf(node), before, 'the world is as it was')
})
