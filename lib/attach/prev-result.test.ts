import { test } from 'tap'
import type { Result } from '../cni/result.ts'
import { makeScene } from '../testing/scene.ts'
import { findPodInterface, getHostEnd } from './prev-result.ts'

/** host0 on the node is eth0's other end; away and net1 are a pair inside the pod; br0 is no veth. */
async function makeWired() {
  const { kernel, request } = makeScene()
  const { rtnl } = kernel.host
  const { netns } = request('ADD', {})
  const pod = kernel.openNamespace(netns)
  await rtnl.apply(
    { change: 'create link', link: { kind: 'bridge', name: 'br0' } },
    { change: 'create link', link: { kind: 'veth', name: 'host0', peer: { name: 'eth0', netnsFd: pod.fd } } },
  )
  await pod.rtnl.apply({
    change: 'create link',
    link: { kind: 'veth', name: 'away', peer: { name: 'net1' } },
  })
  return async (ifname: string, result: Result) => {
    const link = await getHostEnd(kernel, { request: request('ADD', {}, { ifname }), pod, result })
    return link.name
  }
}

const said: Result = {
  interfaces: [{ name: 'br0' }, { name: 'host0' }, { name: 'eth0', sandbox: '/run/netns/pod-1' }],
}

test('getHostEnd finds the node’s end of the pod’s wire', async (t) => {
  const find = await makeWired()
  t.equal(await find('eth0', said), 'host0')
})

const REFUSED: readonly [what: string, ifname: string, result: Result, message: string][] = [
  ['no interface is said', 'eth0', {}, 'no interfaces provided'],
  ['the interface is gone', 'net9', said, 'container interface net9 has no veth peer'],
  ['the interface is no veth', 'lo', said, 'container interface lo has no veth peer'],
  ['both ends are in the pod', 'net1', said, 'veth peer with index 4 is not in host ns'],
  [
    'prevResult does not say it',
    'eth0',
    { interfaces: [{ name: 'br0' }] },
    'no veth peer of container interface found in host ns',
  ],
]

for (const [what, ifname, result, message] of REFUSED)
  test(`getHostEnd refuses when ${what}`, async (t) => {
    const find = await makeWired()
    await t.rejects(find(ifname, result), { code: 999, message })
  })

test('findPodInterface wants an interface with a sandbox', (t) => {
  const { request } = makeScene()
  t.match(findPodInterface(request('ADD', {}), said), { name: 'eth0' })
  t.equal(findPodInterface(request('ADD', {}), { interfaces: [{ name: 'eth0', sandbox: '' }] }), undefined)
  t.end()
})
