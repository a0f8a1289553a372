// The picture and the story of a node in memory, on which cni-bridge attaches pods.

import { test } from 'tap'
import { StepLog } from '../../../lib/daemon/step-log.ts'
import { type Step, steppedPorts } from '../../../lib/daemon/steps.ts'
import { pluginFinder } from '../command.ts'
import { makeNode } from '../node.fixture.ts'
import { tellPod } from './pod-story.ts'
import { takePicture } from './take-picture.ts'

const NODE = { name: 'node-1', version: '1.2.3', startedAtMs: 5 }

async function open(...pods: readonly string[]) {
  const node = makeNode()
  for (const pod of pods) await node.attach(pod)
  const ports = await node.about.openPorts()
  const take = () => takePicture({ ports, node: NODE })
  const checking = { ports, findPlugin: pluginFinder(node.about), configs: [], path: [] }
  return { ...node, ports, take, checking }
}

test('takePicture tells interfaces, pods with their wires, and the firewall', async (t) => {
  const { take } = await open('web', 'db')
  const picture = await take()
  t.match(picture.node, { ...NODE, forwarding: { ipv4: true, ipv6: true } })
  t.same(
    picture.pods.map(({ id, namespace, name, addresses, bridge, state, troubles }) => [
      id,
      namespace,
      name,
      ...addresses,
      bridge,
      state,
      troubles.join(),
    ]),
    [
      ['db/eth0', 'demo', 'db', '10.1.0.6/24', 'fd00:1::6/64', 'br0', 'attached', ''],
      ['web/eth0', 'demo', 'web', '10.1.0.5/24', 'fd00:1::5/64', 'br0', 'attached', ''],
    ],
  )
  const [db] = picture.pods
  t.match(db?.wire, { name: /^veth/, state: 'up', port: 'forwarding' })
  t.same(
    picture.links.filter(({ name }) => name.startsWith('veth')),
    [],
    'wires are told with their pods',
  )
  t.match(
    picture.links.find(({ name }) => name === 'br0'),
    { kind: 'bridge', state: 'up', addresses: ['10.1.0.1/24', 'fd00:1::1/64'], defaultVia: [] },
  )
  t.same(
    picture.masquerade.map(({ address, beyond, pod }) => `${address} beyond ${beyond}: ${pod}`),
    [
      '10.1.0.5 beyond 10.1.0.0/24: web/eth0',
      '10.1.0.6 beyond 10.1.0.0/24: db/eth0',
      'fd00:1::5 beyond fd00:1::/64: web/eth0',
      'fd00:1::6 beyond fd00:1::/64: db/eth0',
    ],
  )
  t.same([picture.hostPorts, picture.troubles], [[], []])
})

test('takePicture marks pods whose wire is not as it was made', async (t) => {
  const { take, scene } = await open('web')
  const { rtnl } = scene.kernel.host
  const troubles = async () => (await take()).pods.flatMap((pod) => pod.troubles)
  const name = (await take()).pods[0]?.wire?.name ?? ''
  await rtnl.apply({ change: 'set link', link: name, set: { up: false } })
  t.same(await troubles(), [`${name} is down`])
  await rtnl.apply({ change: 'set link', link: name, set: { up: true, master: 0 } })
  t.same(await troubles(), [`${name} is not in br0`])
  await rtnl.apply({ change: 'delete link', link: name })
  t.same(await troubles(), [`its wire ${name} is gone`])
})

test('takePicture draws what can be read, and says what cannot', async (t) => {
  const { ports } = await open('web')
  const noFirewall = Object.create(ports.kernel.host, {
    nft: { value: { listElements: () => Promise.reject(new Error('nf_tables is not in this kernel')) } },
  })
  const openNamespace = (path: string) => ports.kernel.openNamespace(path)
  const kernel = { host: noFirewall, openNamespace }
  const picture = await takePicture({
    ports: Object.create(ports, { kernel: { value: kernel } }),
    node: NODE,
  })
  t.same(
    picture.pods.map(({ id }) => id),
    ['web/eth0'],
  )
  t.same(picture.masquerade, [])
  t.same([...new Set(picture.troubles)], ['nf_tables is not in this kernel'])
})

test('tellPod tells what was made beside what is there, and the steps that this daemon has seen', async (t) => {
  const { ports, checking, scene } = await open('web')
  const log = new StepLog(() => scene.nowMs)
  t.equal(await tellPod(checking, log, 'nobody'), undefined)
  t.equal(await tellPod(checking, log, 'we'), undefined, 'the beginning of an id is not enough')
  const unseen = await tellPod(checking, log, 'web')
  t.match(unseen?.interfaces, [
    { pod: { id: 'web/eth0' }, drifts: [], adds: [{ plugin: 'cni-bridge', call: null }] },
  ])
  t.match(
    unseen?.interfaces[0]?.rows.filter(({ what }) => what === 'mac'),
    [
      { place: /^node: veth/, differs: false },
      { place: 'pod: eth0', differs: false },
    ],
  )

  const steps: Step[] = []
  steppedPorts(ports, (step) => steps.push(step)).attachments.list()
  const environment = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'web', CNI_IFNAME: 'eth0' }
  const call = { plugin: 'bridge', netns: '', places: [], environment, stdin: '' }
  log.note({ plugin: 'cni-bridge', call, hasFailed: false, durationMs: 12, steps })
  t.match((await tellPod(checking, log, 'web'))?.interfaces[0]?.adds, [
    {
      call: {
        atMs: scene.nowMs - 12,
        durationMs: 12,
        steps: [{ kind: 'records', lines: ['look at the records'] }],
      },
    },
  ])
  scene.nowMs += 60_000
  log.note({ plugin: 'cni-bridge', call, hasFailed: false, durationMs: 12, steps })
  t.match(
    (await tellPod(checking, log, 'web'))?.interfaces[0]?.adds,
    [{ call: null }],
    'that was another’s ADD',
  )
})
