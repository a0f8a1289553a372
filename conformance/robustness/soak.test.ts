// Pods come and go for a long time: the daemon does not grow, in memory, open files, rules or rows.

import { t as file, test } from 'tap'
import { podwire } from '../harness/contestant.ts'
import { rehearsed, shimmed } from '../harness/daemon.ts'
import { type Namespace, TestNode } from '../harness/node.ts'
import { bridgeConfig, callPlugin } from '../harness/plugin.ts'
import { readWorld } from '../harness/world.ts'
import { inParallel, isLong } from './form.ts'

const PAIRS = isLong ? 20_000 : 160
const PODS = 8
/** Pods that stay; a bridge has 1,023 ports. */
const RESIDENTS = isLong ? 1000 : 8
/** Resident memory, in KiB. What V8 and the allocator keep for later goes up and down by some MiB. */
const MAX_RSS = 100 * 1024
const MAX_GROWTH = 10 * 1024
/** Sockets that wait for the kernel to let go of deleted links (12), or list connections, a moment after the last call. */
const UNDER_WAY = 16

file.setTimeout(3_600_000)

test(`${PAIRS} pods that come and go leave the daemon as it was`, async (t) => {
  const node = await TestNode.create(shimmed())
  t.teardown(() => node.remove())
  await rehearsed(node)
  const config = bridgeConfig(node, { ranges: [[{ subnet: '10.8.0.0/21' }]] })
  const call = (command: string, pod: Namespace) =>
    callPlugin(node, { type: podwire.bridge, command, pod, config })
  const labels = Array.from({ length: PODS }, (_, nth) => `pod${nth}`)
  const pods = await inParallel(labels, 4, (label) => node.addPod(label))
  const failures: string[] = []
  const comeAndGo = async (pairs: number) => {
    await Promise.all(
      pods.map(async (pod) => {
        for (let i = 0; i < pairs / PODS; i++) {
          for (const command of ['ADD', 'DEL']) {
            const { status, stdout } = await call(command, pod)
            if (status !== 0) failures.push(`${command} ${pod.label}: ${stdout}`)
          }
        }
      }),
    )
  }
  const residents = Array.from({ length: RESIDENTS }, (_, nth) => `resident${nth}`)
  await inParallel(residents, 4, async (label) => {
    const { status, stdout } = await call('ADD', await node.addPod(label))
    if (status !== 0) failures.push(`ADD ${label}: ${stdout}`)
  })
  t.comment(`resident ${node.daemon?.usage().rss} KiB with ${RESIDENTS} pods`)

  const look = async () => [
    ...(await readWorld(node.name)),
    ...podwire.listLeases(node.dataDir),
    ...podwire.listAttachments(node.stateDir),
  ]

  await comeAndGo(PAIRS / 4)
  const [world, usage] = [await look(), node.daemon?.usage()]
  await comeAndGo((PAIRS * 3) / 4)
  const [worldThen, after] = [await look(), node.daemon?.usage()]
  t.comment(`resident ${usage?.rss} KiB, then ${after?.rss} KiB`)
  t.same(failures.slice(0, 3), [])
  t.same(worldThen, world, 'rules, links and rows')
  t.ok((after?.files ?? Number.NaN) < (usage?.files ?? Number.NaN) + UNDER_WAY, 'open files')
  t.ok((after?.rss ?? Number.NaN) < MAX_RSS, 'resident memory')
  if (isLong) t.ok((after?.rss ?? Number.NaN) - (usage?.rss ?? Number.NaN) < MAX_GROWTH, 'and no growth')
})
