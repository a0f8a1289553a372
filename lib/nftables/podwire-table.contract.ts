// Masquerading, on the fake and on the kernel alike.

import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { type MasqueradeEntry, masqueradeMaps, podwireTable, postroutingChain } from './masquerade-rules.ts'
import { type NftUnderTest, normalized } from './nft.contract.ts'
import type { NftOperation } from './operation.ts'
import { addMasquerade, checkMasquerade, listMasquerade, removeMasquerade } from './podwire-table.ts'
import { accept } from './statement.ts'

interface Teardown {
  teardown(work: () => void): void
}

function entry(address: string, subnet: string, comment: string): MasqueradeEntry {
  return { address: IpAddress.parse(address), subnet: Prefix.parse(subnet), comment }
}

const web = [
  entry('10.1.0.5', '10.1.0.0/24', 'net 0a1b eth0'),
  entry('fd00::5', 'fd00::1/64', 'net 0a1b eth0'),
]
const db = [
  entry('10.1.0.6', '10.1.0.0/24', 'net 2c3d eth0'),
  entry('10.2.0.6', '10.2.0.0/25', 'other 2c3d net1'),
]

const AFTER_WEB = `table inet podwire {
	comment "pods wired by podwire: changes are found and undone"
	map masquerade_ipv4 {
		type ipv4_addr : verdict
		comment "pods that leave under the address of the node, by their own"
		elements = { 10.1.0.5 comment "net 0a1b eth0" : goto subnet_10.1.0.0_24 }
	}

	map masquerade_ipv6 {
		type ipv6_addr : verdict
		comment "pods that leave under the address of the node, by their own"
		elements = { fd00::5 comment "net 0a1b eth0" : goto subnet_fd00--_64 }
	}

	chain postrouting {
		type nat hook postrouting priority 100; policy accept;
		ip saddr vmap @masquerade_ipv4
		ip6 saddr vmap @masquerade_ipv6
	}

	chain subnet_10.1.0.0_24 {
		ip daddr 224.0.0.0/4 return
		ip daddr 10.1.0.0/24 return
		masquerade
	}

	chain subnet_fd00--_64 {
		ip6 daddr ff00::/8 return
		ip6 daddr fd00::/64 return
		masquerade
	}
}
`

const subnetChain = { table: podwireTable, name: 'subnet_10.1.0.0_24' }

const DAMAGES: readonly {
  name: string
  operations: readonly NftOperation[]
  differences: readonly string[]
}[] = [
  {
    name: 'the table is gone',
    operations: [{ verb: 'delete', table: podwireTable }],
    differences: [
      'chain inet podwire postrouting: missing',
      'chain inet podwire postrouting: no rule "ip saddr vmap @masquerade_ipv4" in its place',
      'chain inet podwire subnet_10.1.0.0_24: no rule "ip daddr 224.0.0.0/4 return" in its place',
      'element inet podwire masquerade_ipv4 { 10.1.0.5 }: missing',
    ],
  },
  {
    name: 'the table is flushed',
    operations: [{ verb: 'flush', table: podwireTable }],
    differences: [
      'chain inet podwire postrouting: no rule "ip saddr vmap @masquerade_ipv4" in its place',
      'chain inet podwire subnet_10.1.0.0_24: no rule "ip daddr 224.0.0.0/4 return" in its place',
    ],
  },
  {
    name: 'the chain at the hook is gone',
    operations: [{ verb: 'delete', chain: postroutingChain }],
    differences: [
      'chain inet podwire postrouting: missing',
      'chain inet podwire postrouting: no rule "ip saddr vmap @masquerade_ipv4" in its place',
    ],
  },
  {
    name: 'the chain at the hook is no longer at it',
    operations: [
      { verb: 'delete', chain: postroutingChain },
      { verb: 'add', chain: { table: podwireTable, name: 'postrouting' } },
    ],
    differences: [
      'chain inet podwire postrouting: nothing instead of "type nat hook postrouting priority 100; policy accept;"',
      'chain inet podwire postrouting: no rule "ip saddr vmap @masquerade_ipv4" in its place',
    ],
  },
  {
    name: 'a rule comes before ours',
    operations: [{ verb: 'insert', rule: { chain: postroutingChain, body: [accept] } }],
    differences: ['chain inet podwire postrouting: no rule "ip saddr vmap @masquerade_ipv4" in its place'],
  },
  {
    name: 'a rule comes after ours',
    operations: [{ verb: 'add', rule: { chain: subnetChain, body: [accept] } }],
    differences: ['chain inet podwire subnet_10.1.0.0_24: 1 rule too many'],
  },
  {
    name: 'the element is gone',
    operations: [{ verb: 'flush', set: masqueradeMaps[4] }],
    differences: ['element inet podwire masquerade_ipv4 { 10.1.0.5 }: missing'],
  },
  {
    name: 'the element is of another',
    operations: [
      { verb: 'flush', set: masqueradeMaps[4] },
      {
        verb: 'add',
        elementsOf: masqueradeMaps[4],
        elements: [{ key: ['10.1.0.5'], value: ['accept'], comment: 'another' }],
      },
    ],
    differences: [
      'element inet podwire masquerade_ipv4 { 10.1.0.5 }: verdict "accept" instead of "goto subnet_10.1.0.0_24"',
      'element inet podwire masquerade_ipv4 { 10.1.0.5 }: comment "another" instead of "net 0a1b eth0"',
    ],
  },
]

export function podwireTableContract(subject: string, open: (t: Teardown) => NftUnderTest): void {
  test(`masquerading on ${subject} makes the table when there is none`, async (t) => {
    const { nft, dump } = open(t)
    await addMasquerade(nft, web)
    t.equal(normalized(dump()), AFTER_WEB)
    t.same(await checkMasquerade(nft, web), [])
  })

  test(`masquerading on ${subject} changes nothing when done twice`, async (t) => {
    const { nft, dump } = open(t)
    await addMasquerade(nft, web)
    await addMasquerade(nft, web)
    t.equal(normalized(dump()), AFTER_WEB)
  })

  test(`masquerading on ${subject} leaves others as they are when a pod comes and goes`, async (t) => {
    const { nft, dump } = open(t)
    await addMasquerade(nft, web)
    await addMasquerade(nft, db)
    t.same(await checkMasquerade(nft, [...web, ...db]), [])
    t.match(
      dump(),
      /\tchain subnet_10\.2\.0\.0_25 \{\n\t\tip daddr 224\.0\.0\.0\/4 return\n\t\tip daddr 10\.2\.0\.0\/25 return\n\t\tmasquerade\n/,
    )
    await removeMasquerade(nft, db)
    await nft.apply([{ verb: 'delete', chain: { table: podwireTable, name: 'subnet_10.2.0.0_25' } }])
    t.equal(normalized(dump()), AFTER_WEB)
  })

  test(`masquerading on ${subject} replaces what a pod that is no more left under the address`, async (t) => {
    const { nft } = open(t)
    await addMasquerade(nft, [entry('10.1.0.5', '10.1.0.0/16', 'net dead eth0')])
    await addMasquerade(nft, web)
    t.same(await checkMasquerade(nft, web), [])
    t.equal((await listMasquerade(nft)).length, 2)
  })

  test(`removing on ${subject} is fine when there is nothing`, async (t) => {
    const { nft, dump } = open(t)
    await removeMasquerade(nft, web)
    t.equal(dump(), '')
    await addMasquerade(nft, db)
    await removeMasquerade(nft, web)
    await removeMasquerade(nft, db)
    await removeMasquerade(nft, db)
    t.same(await listMasquerade(nft), [])
  })

  test(`removing on ${subject} leaves the address alone when it is another's by now`, async (t) => {
    const { nft, dump } = open(t)
    await addMasquerade(nft, web)
    await removeMasquerade(nft, [entry('10.1.0.5', '10.1.0.0/24', 'net dead eth0')])
    t.equal(normalized(dump()), AFTER_WEB)
  })

  test(`removing on ${subject} takes the rest away when another is quicker to delete one`, async (t) => {
    const { nft } = open(t)
    await addMasquerade(nft, web)
    const removing = removeMasquerade(nft, web)
    // Sent after the look for the elements, and before they are deleted; else it would be refused.
    await nft.apply([{ verb: 'delete', elementsOf: masqueradeMaps[4], elements: [{ key: ['10.1.0.5'] }] }])
    await removing
    t.same(await listMasquerade(nft), [])
  })

  test(`list on ${subject} tells whose every element is`, async (t) => {
    const { nft } = open(t)
    t.same(await listMasquerade(nft), [])
    await addMasquerade(nft, [...web, ...db])
    const strange = { key: ['10.9.9.9'], value: ['accept'] }
    await nft.apply([{ verb: 'add', elementsOf: masqueradeMaps[4], elements: [strange] }])
    const texts = (await listMasquerade(nft)).map((e) => `${e.address} of ${e.subnet ?? '-'}: ${e.comment}`)
    t.same(texts.sort(), [
      '10.1.0.5 of 10.1.0.0/24: net 0a1b eth0',
      '10.1.0.6 of 10.1.0.0/24: net 2c3d eth0',
      '10.2.0.6 of 10.2.0.0/25: other 2c3d net1',
      '10.9.9.9 of -: ',
      'fd00::5 of fd00::/64: net 0a1b eth0',
    ])
    await removeMasquerade(nft, await listMasquerade(nft))
    t.same(await listMasquerade(nft), [])
  })

  test(`masquerading on ${subject} takes many pods at once`, async (t) => {
    const { nft } = open(t)
    const pods = Array.from({ length: 600 }, (_, i) =>
      entry(`10.3.${i >> 8}.${i & 255}`, '10.3.0.0/16', `network ${'f'.repeat(64)} eth${i}`),
    )
    await addMasquerade(nft, pods)
    t.same(await checkMasquerade(nft, pods), [])
    await removeMasquerade(nft, pods)
    t.same(await listMasquerade(nft), [])
  })

  for (const { name, operations, differences } of DAMAGES) {
    test(`check on ${subject} names the difference, and the next add mends it, when ${name}`, async (t) => {
      const { nft, dump } = open(t)
      await addMasquerade(nft, web)
      await nft.apply(operations)
      t.same(await checkMasquerade(nft, web.slice(0, 1)), differences)
      await addMasquerade(nft, web.slice(0, 1))
      t.same(await checkMasquerade(nft, web.slice(0, 1)), [])
      // Other subnets get their rules back too, as long as the table was there to tell of them.
      await addMasquerade(nft, web)
      t.equal(withoutOrder(dump()), withoutOrder(AFTER_WEB))
    })
  }

  test(`masquerading on ${subject} mends the rules of every subnet when it mends one`, async (t) => {
    const { nft } = open(t)
    const many = Array.from({ length: 70 }, (_, i) =>
      entry(`10.${i + 9}.0.5`, `10.${i + 9}.0.0/16`, `net ${i} eth0`),
    )
    await addMasquerade(nft, [...web, ...db, ...many])
    await nft.apply([{ verb: 'flush', table: podwireTable }])
    await addMasquerade(nft, web.slice(0, 1))
    t.same(await checkMasquerade(nft, [...web, ...db, ...many]), [])
  })
}

/** Chains are listed in the order they were made in. */
function withoutOrder(dump: string): string {
  return normalized(dump)
    .replace(/\}\n\}\n$/, '}\n\n}\n')
    .split('\n\n')
    .sort()
    .join('\n\n')
}
