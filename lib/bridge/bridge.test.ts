// What was made is taken back when it is still ours and nobody uses it, on a node in memory.

import { test } from 'tap'
import type { MacAddress } from '../ip/mac.ts'
import { dumpStack } from '../rtnl/fake-dump.ts'
import { FakeNetwork, FakeStack } from '../rtnl/fake-stack.ts'
import type { NewLink } from '../rtnl/link.ts'
import { RtnlFake } from '../rtnl/rtnl-fake.ts'
import { SysctlFake } from '../sysctl/sysctl-fake.ts'
import { ensureBridge, type OnChange } from './bridge.ts'
import { ensureVlanGateway } from './vlan-gateway.ts'

/** MACs. */
const [OURS, THEIRS] = ['02:00:00:00:00:01', '02:00:00:00:00:02'] as [MacAddress, MacAddress]

/** A node, and what takes back what was done to it. */
class World {
  readonly sysctl = new SysctlFake()
  readonly rtnl: RtnlFake
  readonly onChange: OnChange = (_, undo) => void this.#undos.unshift(undo)
  readonly #undos: (() => void | Promise<void>)[] = []
  readonly #stack: FakeStack

  constructor() {
    this.#stack = new FakeStack(new FakeNetwork({ bridgeVlanFiltering: true }), 'host', this.sysctl)
    this.rtnl = new RtnlFake(this.#stack)
  }

  create(link: NewLink): Promise<void> {
    return this.rtnl.apply({ change: 'create link', link })
  }

  async delete(link: string): Promise<void> {
    await this.rtnl.apply({ change: 'delete link', link })
  }

  async undo(): Promise<void> {
    for (const undo of this.#undos.splice(0)) await undo()
  }

  /** Names, kinds and MACs. */
  links(): string[] {
    const lines = dumpStack(this.#stack).matchAll(/^link (\S+ \S+) .*mac (\S+)/gm)
    return Array.from(lines, ([, link, mac]) => `${link} ${mac}`).filter((line) => !line.startsWith('lo '))
  }
}

type Meanwhile = (world: World) => Promise<void>

const BRIDGE = `br0 bridge ${OURS}`

const bridges: readonly [what: string, meanwhile: Meanwhile, left: readonly string[]][] = [
  ['nobody uses it', async () => undefined, []],
  [
    'another has plugged a port into it',
    async (world) => {
      const { index: master } = await world.rtnl.getLink('br0')
      await world.create({
        kind: 'veth',
        name: 'port',
        mac: THEIRS,
        master,
        peer: { name: 'far', mac: THEIRS },
      })
    },
    [BRIDGE, `far veth ${THEIRS}`, `port veth ${THEIRS}`],
  ],
  [
    'another has made one of its name',
    async (world) => {
      await world.delete('br0')
      await world.create({ kind: 'bridge', name: 'br0', mac: THEIRS })
    },
    [`br0 bridge ${THEIRS}`],
  ],
  ['another has removed it', (world) => world.delete('br0'), []],
]

test('a bridge that was made is taken back while nobody else uses it', async (t) => {
  for (const [what, meanwhile, left] of bridges) {
    const world = new World()
    const spec = { name: 'br0', mac: OURS, promisc: false, vlanFiltering: false, hasOwnMac: () => true }
    await ensureBridge(world, spec, world.onChange)
    t.strictSame(world.links(), [BRIDGE])
    await meanwhile(world)
    await world.undo()
    t.strictSame(world.links(), left, what)
  }
})

const gateways: readonly [what: string, meanwhile: Meanwhile, left: readonly string[]][] = [
  ['it is as it was made', async () => undefined, [BRIDGE]],
  [
    'another has made a link of its name',
    async (world) => {
      await world.delete('br0.7')
      await world.create({ kind: 'bridge', name: 'br0.7', mac: THEIRS })
    },
    [BRIDGE, `br0.7 bridge ${THEIRS}`],
  ],
  ['another has removed it', (world) => world.delete('br0.7'), [BRIDGE]],
]

test('the gateway of a VLAN that was made is taken back while it is ours', async (t) => {
  for (const [what, meanwhile, left] of gateways) {
    const world = new World()
    await world.create({ kind: 'bridge', name: 'br0', mac: OURS, vlanFiltering: true })
    const bridge = await world.rtnl.getLink('br0')
    const spec = { vlan: 7, preserveDefault: true, mac: OURS, portName: 'port' }
    await ensureVlanGateway(world, { bridge, spec, onChange: world.onChange })
    await meanwhile(world)
    await world.undo()
    t.strictSame(world.links(), left, what)
  }
})
