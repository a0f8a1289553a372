// Many calls at once, each a process of its own: none fails, no address is given twice, and when all are taken back
// nothing is left.

import { t as file, type Test, test } from 'tap'
import { podwire } from '../harness/contestant.ts'
import { type Namespace, TestNode } from '../harness/node.ts'
import { type Config, callPlugin } from '../harness/plugin.ts'
import type { Exit } from '../harness/process.ts'
import { readWorld } from '../harness/world.ts'
import { inParallel, isLong } from './form.ts'
import { Random } from './random.ts'

const JOBS = isLong ? 32 : 16
const LEASES = isLong ? 1000 : 64
const PODS = isLong ? 200 : 24

const random = Random.fromEnvironment()
file.setTimeout(3_600_000)
file.comment(`ROBUSTNESS_SEED=${random.seed}`)

/** The IPAM plugin does not open it. */
const NO_NAMESPACE = { CNI_NETNS: '/var/run/netns/none' }
/** Room for every pod, and not much more: an address that is lost is missed. */
const RANGES = [[{ subnet: '10.8.0.0/22' }], [{ subnet: '2001:db8:8::/118' }]]

/**
 * For what a namespace gets: 200 pods that look for routers at once are flooded to 200 ports each, ten thousand packets more
 * than the kernel queues (net.core.netdev_max_backlog), and with them goes now and then one that somebody waits for.
 */
const NO_SOLICITATIONS = 'echo 0 >/proc/sys/net/ipv6/conf/default/router_solicitations'

test(`${LEASES} IPAM ADDs from ${JOBS} processes at once get an address each, and DELs give all back`, async (t) => {
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  const config = { cniVersion: '1.1.0', name: 'net', type: node.contestant.bridge, ipam: ipamOf(node) }
  const call = async (command: string, containerId: string) =>
    callPlugin(node, {
      type: node.contestant.hostLocal,
      command,
      config,
      containerId,
      environment: NO_NAMESPACE,
    })
  const ids = Array.from({ length: LEASES }, (_, nth) => `pod${nth}`)

  const added = await inParallel(ids, JOBS, (id) => call('ADD', id))
  requireSuccess(t, added)
  const expected = added.flatMap((exit, nth) =>
    addressesOf(exit).map((address) => `net ${address} pod${nth}/eth0`),
  )
  t.equal(new Set(added.flatMap(addressesOf)).size, 2 * LEASES, 'every address is given once')
  t.same(node.contestant.listLeases(node.dataDir).sort(), expected.sort(), 'the store holds what was given')

  requireSuccess(t, await inParallel(random.shuffle(ids), JOBS, (id) => call('DEL', id)))
  t.same(node.contestant.listLeases(node.dataDir), [], 'no lease is left')
})

test(`${PODS} pods that come at once from ${JOBS} processes, and go at once, leave nothing`, async (t) => {
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  const call = (command: string, pod: Namespace) =>
    callPlugin(node, { type: node.contestant.bridge, command, config: bridgeConfig(node), pod })
  const resident = await node.addPod('resident')
  requireSuccess(t, [await call('ADD', resident)])
  const before = await look(node)
  const pods = await inParallel(
    Array.from({ length: PODS }, (_, nth) => `pod${nth}`),
    4,
    async (label) => {
      const pod = await node.addPod(label)
      const { status } = await node.exec(['sh', '-c', NO_SOLICITATIONS], { inside: pod })
      t.equal(status, 0)
      return pod
    },
  )

  const added = await inParallel(pods, JOBS, (pod) => call('ADD', pod))
  requireSuccess(t, added)
  t.equal(new Set(added.flatMap(addressesOf)).size, 2 * PODS, 'every address is given once')
  const unreachable = await inParallel(pods, 4, async (pod) => {
    const { status } = await node.exec(['ping', '-c1', '-W5', '10.8.0.1'], { inside: pod })
    return status === 0 ? [] : [pod.label]
  })
  t.same(unreachable.flat(), [], 'every pod reaches its gateway')

  requireSuccess(t, await inParallel(random.shuffle(pods), JOBS, (pod) => call('DEL', pod)))
  t.same(difference(before, await look(node)), [], 'the node is as it was')
})

test(`pods that come and go at the same time get addresses that nobody else has`, async (t) => {
  const node = await TestNode.create(podwire)
  t.teardown(() => node.remove())
  const config = { cniVersion: '1.1.0', name: 'net', type: node.contestant.bridge, ipam: ipamOf(node) }
  const call = (command: string, containerId: string) =>
    callPlugin(node, {
      type: node.contestant.hostLocal,
      command,
      config,
      containerId,
      environment: NO_NAMESPACE,
    })
  const inUse = new Map<string, string>()
  const workers = Array.from({ length: JOBS }, (_, nth) => `pod${nth}`)
  const faults = await inParallel(workers, JOBS, async (id) => {
    const clashes: string[] = []
    for (let round = 0; round < LEASES / JOBS / 2; round++) {
      const exit = await call('ADD', id)
      const addresses = addressesOf(exit)
      if (addresses.length !== 2) clashes.push(`${id}: ${exit.stdout}${exit.stderr}`)
      clashes.push(...addresses.filter((one) => inUse.has(one)).map((one) => `${one} is ${inUse.get(one)}'s`))
      for (const address of addresses) inUse.set(address, id)
      for (const address of addresses) inUse.delete(address) // before DEL: from then on it may be another's
      const { status, stdout } = await call('DEL', id)
      if (status !== 0) clashes.push(`${id}: ${stdout}`)
    }
    return clashes
  })
  t.same(faults.flat().slice(0, 3), [])
  t.same(node.contestant.listLeases(node.dataDir), [], 'no lease is left')
})

function ipamOf({ contestant, dataDir }: TestNode): Config {
  return { type: contestant.hostLocal, dataDir, ranges: RANGES }
}

function bridgeConfig(node: TestNode): Config {
  const { bridge } = node.contestant
  return {
    cniVersion: '1.1.0',
    name: 'net',
    type: bridge,
    isDefaultGateway: true,
    ipMasq: true,
    ipam: ipamOf(node),
  }
}

async function look(node: TestNode): Promise<string[]> {
  const { contestant, dataDir, stateDir, name } = node
  return [
    ...(await readWorld(name)),
    ...contestant.listLeases(dataDir).map((line) => `lease ${line}`),
    ...contestant.listAttachments(stateDir).map((line) => `attachment ${line}`),
  ]
}

function requireSuccess(t: Test, exits: readonly Exit[]): void {
  const failed = exits.filter(({ status, stderr }) => status !== 0 || stderr !== '')
  t.same(failed.slice(0, 3), [], `${exits.length} calls went well`)
}

function addressesOf({ status, stdout }: Exit): string[] {
  if (status !== 0) return []
  const { ips } = JSON.parse(stdout) as { ips: { address: string }[] }
  return ips.map(({ address }) => address.split('/')[0] ?? '')
}

function difference(before: readonly string[], after: readonly string[]): string[] {
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
  ]
}
