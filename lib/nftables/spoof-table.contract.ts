// Guarding MACs, on the fake and on the kernel alike.

import { test } from 'tap'
import type { MacAddress } from '../ip/mac.ts'
import { type NftUnderTest, normalized } from './nft.contract.ts'
import type { NftOperation } from './operation.ts'
import {
  addSpoofGuards,
  checkSpoofGuards,
  listSpoofGuards,
  removeSpoofGuards,
  type SpoofGuard,
  spoofTable,
} from './spoof-table.ts'
import { accept } from './statement.ts'

interface Teardown {
  teardown(work: () => void): void
}

const guard = (port: string, mac: string, comment: string): SpoofGuard => ({
  port,
  mac: mac as MacAddress,
  comment,
})
const web = guard('veth0a1b2c3d', '0a:58:0a:01:00:05', 'net 0a1b eth0')
const db = guard('veth00000002', '0a:58:0a:01:00:06', 'net 2c3d eth0')

const AFTER_WEB = `table bridge podwire {
	comment "pods wired by podwire: changes are found and undone"
	set checked_ports {
		type ifname
		comment "ports of pods that may use their own MAC only"
		elements = { "veth0a1b2c3d" comment "net 0a1b eth0" }
	}

	set port_macs {
		type ifname . ether_addr
		comment "the MAC that each of them may use"
		elements = { "veth0a1b2c3d" . 0a:58:0a:01:00:05 comment "net 0a1b eth0" }
	}

	chain prerouting {
		type filter hook prerouting priority -300; policy accept;
		iifname @checked_ports iifname . ether saddr != @port_macs drop
	}
}
`
const AFTER_NONE = AFTER_WEB.replaceAll(/\t\telements = .*\n/g, '')

const chain = { table: spoofTable, name: 'prerouting' }
const port = { table: spoofTable, name: 'checked_ports', type: ['ifname'] } as const
const RULE = '"iifname @checked_ports iifname . ether saddr != @port_macs drop"'

const DAMAGES: readonly {
  readonly name: string
  readonly operations: readonly NftOperation[]
  readonly differences: readonly string[]
}[] = [
  {
    name: 'the table is gone',
    operations: [{ verb: 'delete', table: spoofTable }],
    differences: [
      'chain bridge podwire prerouting: missing',
      'element bridge podwire checked_ports { "veth0a1b2c3d" }: missing',
      'element bridge podwire port_macs { "veth0a1b2c3d" . 0a:58:0a:01:00:05 }: missing',
    ],
  },
  {
    name: 'the rule is gone',
    operations: [{ verb: 'flush', table: spoofTable }],
    differences: [`chain bridge podwire prerouting: no rule ${RULE} in its place`],
  },
  {
    name: 'another rule comes first',
    operations: [{ verb: 'insert', rule: { chain, body: [accept] } }],
    differences: [`chain bridge podwire prerouting: no rule ${RULE} in its place`],
  },
  {
    name: 'there is a rule more',
    operations: [{ verb: 'add', rule: { chain, body: [accept] } }],
    differences: ['chain bridge podwire prerouting: 1 rule too many'],
  },
  {
    name: 'the chain is at another hook',
    operations: [
      { verb: 'delete', chain },
      {
        verb: 'add',
        chain: { ...chain, base: { type: 'filter', hook: 'input', priority: 0, policy: 'accept' } },
      },
    ],
    differences: [
      'chain bridge podwire prerouting: "type filter hook input priority 0; policy accept;" instead of ' +
        '"type filter hook prerouting priority -300; policy accept;"',
    ],
  },
  {
    name: 'the port is not among the checked',
    operations: [{ verb: 'delete', elementsOf: port, elements: [{ key: ['"veth0a1b2c3d"'] }] }],
    differences: ['element bridge podwire checked_ports { "veth0a1b2c3d" }: missing'],
  },
  {
    name: 'the port is another pod’s',
    operations: [
      { verb: 'delete', elementsOf: port, elements: [{ key: ['"veth0a1b2c3d"'] }] },
      { verb: 'add', elementsOf: port, elements: [{ key: ['"veth0a1b2c3d"'], comment: 'x' }] },
    ],
    differences: ['element bridge podwire checked_ports { "veth0a1b2c3d" }: is of "x"'],
  },
]

export function spoofTableContract(name: string, open: (t: Teardown) => NftUnderTest): void {
  test(`${name}: a guarded port is two elements, and none when it is removed`, async (t) => {
    const { nft, dump } = open(t)
    t.strictSame(await listSpoofGuards(nft), [])
    t.strictSame(await checkSpoofGuards(nft, []), [])
    await addSpoofGuards(nft, [web])
    t.equal(dump(), AFTER_WEB)
    await addSpoofGuards(nft, [web])
    t.equal(dump(), AFTER_WEB, 'again')
    t.strictSame(await checkSpoofGuards(nft, [web]), [])
    await addSpoofGuards(nft, [db])
    t.strictSame(
      (await listSpoofGuards(nft)).toSorted((a, b) => (a.port < b.port ? -1 : 1)),
      [db, web],
    )
    await removeSpoofGuards(nft, [db])
    t.equal(normalized(dump()), AFTER_WEB)
    await removeSpoofGuards(nft, [web, db])
    await removeSpoofGuards(nft, [web])
    t.equal(dump(), AFTER_NONE)
  })

  test(`${name}: a guard is not removed for another owner`, async (t) => {
    const { nft, dump } = open(t)
    await removeSpoofGuards(nft, [web])
    t.equal(dump(), '', 'nothing is made by it')
    await addSpoofGuards(nft, [web])
    await removeSpoofGuards(nft, [{ ...web, comment: 'net 9 eth0' }])
    t.equal(dump(), AFTER_WEB)
  })

  for (const damage of DAMAGES) {
    test(`${name}: a damage is found, and mended by adding, when ${damage.name}`, async (t) => {
      const { nft, dump } = open(t)
      await addSpoofGuards(nft, [web])
      await nft.apply(damage.operations)
      t.strictSame(await checkSpoofGuards(nft, [web]), damage.differences)
      await addSpoofGuards(nft, [web])
      t.equal(dump(), AFTER_WEB)
    })
  }
}
