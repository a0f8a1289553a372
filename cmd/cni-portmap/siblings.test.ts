// One container in two networks, with the same port in both.

import { test } from 'tap'
import type { Command } from '../../lib/cni/request.ts'
import { makeScene, type Scene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'

const NETCONF = {
  cniVersion: '1.1.0',
  name: 'net',
  type: 'cni-portmap',
  runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
}

/** eth0 has 10.1.0.5, eth1 10.1.0.6: for the plugin two interfaces are as good as two networks. */
async function call(scene: Scene, command: Command, ifname: string, containerId = 'pod-1'): Promise<unknown> {
  const prevResult = {
    interfaces: [{ name: ifname, sandbox: `/run/netns/${containerId}` }],
    ips: [{ address: `10.1.0.${5 + Number(ifname.at(-1))}/24`, interface: 0 }],
  }
  const request = scene.request(command, NETCONF, { containerId, ifname, prevResult })
  const verb = command.toLowerCase() as 'add' | 'del' | 'check'
  return plugin[verb](scene.ports, request)
}

const port = (scene: Scene) => /\{ tcp \. 8080 comment "(.*?)" : (.*?) \}/.exec(scene.dump())?.slice(1)

for (const [first, second] of [
  ['eth0', 'eth1'],
  ['eth1', 'eth0'],
] as const)
  test(`a container in two networks has its port in one, until ${first} goes`, async (t) => {
    const scene = makeScene()
    await call(scene, 'ADD', 'eth0')
    await call(scene, 'ADD', 'eth1')
    t.strictSame(port(scene), ['net pod-1 eth0', '10.1.0.5 . 80'])
    for (const ifname of ['eth0', 'eth1']) await call(scene, 'CHECK', ifname)
    await call(scene, 'DEL', first)
    t.strictSame(port(scene), [`net pod-1 ${second}`, `10.1.0.${5 + Number(second.at(-1))} . 80`])
    await call(scene, 'CHECK', second)
    await call(scene, 'DEL', second)
    t.notMatch(scene.dump(), 'pod-1 eth')
  })

test('another container is refused the port, also after the first network went', async (t) => {
  const scene = makeScene()
  await call(scene, 'ADD', 'eth0')
  await call(scene, 'ADD', 'eth1')
  await call(scene, 'DEL', 'eth0')
  await t.rejects(call(scene, 'ADD', 'eth0', 'pod-2'), { message: /taken by container pod-1 .* eth1$/ })
  await call(scene, 'CHECK', 'eth1')
})

test('CHECK finds that nobody has the port', async (t) => {
  const scene = makeScene()
  await call(scene, 'ADD', 'eth0')
  await call(scene, 'ADD', 'eth1')
  const before = scene.dump()
  const { nft } = scene.kernel.host
  for (const table of await nft.listTables()) await nft.apply([{ verb: 'destroy', table }])
  for (const ifname of ['eth0', 'eth1']) await t.rejects(call(scene, 'CHECK', ifname), { code: 100 })
  await plugin.repair?.(scene.ports, scene.request('CHECK', NETCONF, { ifname: 'eth0' }))
  await plugin.repair?.(scene.ports, scene.request('CHECK', NETCONF, { ifname: 'eth1' }))
  for (const ifname of ['eth0', 'eth1']) await call(scene, 'CHECK', ifname)
  t.equal(scene.dump(), before)
})
