// podman with its CNI backend: the networks are of its own making, the plugins in them ours under upstream's names.

import { t as root, type Test, test } from 'tap'
import { podwire } from '../harness/contestant.ts'
import type { Namespace } from '../harness/node.ts'
import { DEADLINE_MS } from '../harness/play-area.ts'
import { serve } from '../harness/traffic.ts'
import { IMAGE } from './image.ts'
import { findPodmanObstacle, Podman } from './podman.ts'
import { awaitServer, fetchText, urlOf } from './web.ts'

root.setTimeout(DEADLINE_MS)
const skip = await findPodmanObstacle()
const options = { skip, timeout: DEADLINE_MS }

interface World {
  readonly podman: Podman
  readonly outside: Namespace
}

/** One podman with two networks for all tests. */
let shared: Promise<World> | undefined
const getWorld = () => {
  shared ??= makeWorld(root)
  return shared
}

async function makeWorld(t: Pick<Test, 'teardown'>): Promise<World> {
  const podman = await Podman.start(t)
  const { node } = podman.host
  const outside = await node.addOutside()
  const subnets = ['--ipv6', '--subnet', '10.89.1.0/24', '--subnet', 'fd00:89:1::/64']
  await podman.must('network', 'create', ...subnets, 'one')
  await podman.must('network', 'create', '--subnet', '10.89.2.0/24', 'two')
  return { podman, outside }
}

interface Settings {
  readonly IPAddress: string
  readonly GlobalIPv6Address: string
}

async function networksOf(podman: Podman, name: string): Promise<Readonly<Record<string, Settings>>> {
  return JSON.parse(await podman.must('inspect', name, '--format', '{{json .NetworkSettings.Networks}}'))
}

test('a container of podman’s in two networks is reached, and nothing of it is left', options, async (t) => {
  const { podman, outside } = await getWorld()
  const { host } = podman
  const { node } = host
  const udp = ['--publish', '30082:5300/udp']
  await podman.start('--name', 'web', '--network', 'one', '--publish', '30081:8080', ...udp, IMAGE)
  await podman.must('network', 'connect', 'two', 'web')
  const { one, two } = await networksOf(podman, 'web')
  t.match(one, { IPAddress: /^10\.89\.1\.\d+$/, GlobalIPv6Address: /^fd00:89:1::/ })
  t.match(two, { IPAddress: /^10\.89\.2\.\d+$/ })
  await awaitServer(node, urlOf(one?.IPAddress ?? '', 8080))
  for (const address of [one?.GlobalIPv6Address, two?.IPAddress])
    t.equal(await fetchText(node, urlOf(address ?? '', 8080)), 'served\n', `at ${address}`)
  for (const address of ['192.0.2.1', '2001:db8:ffff::1'])
    t.equal(await fetchText(outside, urlOf(address, 30081)), 'served\n', `by the host port at ${address}`)
  const mapped = (await host.listBelongings()).join()
  t.match(mapped, /udp \. 30082 [^:]*: 10\.89\.1\.\d+ \. 5300/, 'and one of UDP is mapped')
  t.teardown(await serve(outside))
  t.equal(await podman.must('exec', 'web', 'nc', '192.0.2.2', '8080'), '192.0.2.1', 'it is the node outside')

  const alone = await host.listBelongings()
  const late = podman.start('--name', 'late', '--network', 'one', '--publish', '30081:8080', IMAGE)
  await t.rejects(late, { message: /host port 30081\/tcp is taken by container/ })
  await podman.must('rm', '--force', '--time', '0', 'late')
  t.strictSame(await host.listBelongings(), alone, 'one whose host port is taken does not start')

  await podman.must('network', 'disconnect', 'two', 'web')
  t.equal(await fetchText(outside, urlOf('192.0.2.1', 30081)), 'served\n', 'out of one network, in the other')
  t.match(podwire.listAttachments(node.stateDir), [/ one .* eth0$/, / one .* eth0$/])
  await podman.must('rm', '--force', '--time', '0', 'web')
  t.equal(await fetchText(outside, urlOf('192.0.2.1', 30081)), 'nothing', 'the host port is nobody’s')
  t.strictSame(await host.listBelongings(), [])
})

test('containers of a pod of podman’s share its network and its host port', options, async (t) => {
  const { podman, outside } = await getWorld()
  const { host } = podman
  const infra = ['--infra-image', IMAGE, '--infra-command', '/bin/sleep 1000000']
  await podman.must(
    ...['pod', 'create', '--name', 'shop', '--network', 'one', '--publish', '30083:8080', ...infra],
    ...['--cgroup-parent', `/${host.cgroup}`],
  )
  await podman.must('run', '--detach', '--pod', 'shop', '--name', 'server', IMAGE)
  const address = await podman.must('exec', 'server', 'sh', '-c', 'ip -o -4 addr show eth0')
  const [ip = ''] = /10\.89\.1\.\d+/.exec(address) ?? []
  await awaitServer(host.node, urlOf(ip, 8080))
  t.equal(await fetchText(outside, urlOf('192.0.2.1', 30083)), 'served\n')
  const fetch = ['wget', '-O', '-', urlOf('127.0.0.1', 8080)]
  t.equal(await podman.must('run', '--rm', '--pod', 'shop', IMAGE, ...fetch), 'served')
  await podman.must('pod', 'rm', '--force', '--time', '0', 'shop')
  t.strictSame(await host.listBelongings(), [])
})
