import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { FakeNetwork, FakeStack } from './fake-stack.ts'
import { RtnlFake } from './rtnl-fake.ts'
import { findUplinks } from './uplink.ts'

const parameters = { addLink() {}, renameLink() {}, removeLink() {}, put() {}, find: () => undefined }

test('uplinks are the links of the best default routes, each once', async (t) => {
  const rtnl = new RtnlFake(
    new FakeStack(new FakeNetwork({ bridgeVlanFiltering: false }), 'host', parameters),
  )
  const names = async () => (await findUplinks(rtnl)).map(({ name }) => name)
  for (const [name, octet] of [
    ['up0', 10],
    ['up1', 20],
    ['up2', 30],
  ] as const) {
    await rtnl.apply({ change: 'create link', link: { kind: 'bridge', name, up: true } })
    const dev = (await rtnl.getLink(name)).index
    for (const prefix of [`192.0.${octet}.2/24`, `fd00:${octet}::2/64`])
      await rtnl.apply({ change: 'add address', address: { dev, prefix: Prefix.parse(prefix) } })
  }
  const add = (dst: string, gateway: string, priority: number, table = 254) =>
    rtnl.apply({
      change: 'add route',
      route: { dst: Prefix.parse(dst), gateway: IpAddress.parse(gateway), priority, table },
    })
  t.strictSame(await names(), [])
  await add('10.0.0.0/8', '192.0.30.1', 1)
  await add('0.0.0.0/0', '192.0.30.1', 1, 100)
  t.strictSame(await names(), [], 'neither of other routes nor of other tables')
  await add('0.0.0.0/0', '192.0.20.1', 200)
  t.strictSame(await names(), ['up1'])
  await add('0.0.0.0/0', '192.0.10.1', 100)
  t.strictSame(await names(), ['up0'])
  await add('::/0', 'fd00:10::1', 100)
  await add('::/0', 'fd00:20::1', 100)
  t.strictSame(await names(), ['up0', 'up1'], 'of both families, and several when equal')
})
