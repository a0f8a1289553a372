// Host ports, on the fake and on the kernel alike.

import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { podwireTable } from '../nftables/masquerade-rules.ts'
import { type NftUnderTest, normalized } from '../nftables/nft.contract.ts'
import type { NftOperation } from '../nftables/operation.ts'
import { accept } from '../nftables/statement.ts'
import type { Hostport, Hostports } from './hostport.ts'
import { hostportMaps } from './hostport-rules.ts'
import {
  addHostports,
  checkHostports,
  checkHostportTable,
  findHostportOwner,
  listHostportElements,
  removeHostports,
  restoreHostports,
} from './hostport-table.ts'

interface Teardown {
  teardown(work: () => void): void
}

function hostport(protocol: Hostport['protocol'], port: number, to: string, hostIp?: string): Hostport {
  const [address = '', podPort] = to.split('#')
  return {
    protocol,
    port,
    address: IpAddress.parse(address),
    podPort: Number(podPort),
    ...(hostIp === undefined ? {} : { hostIp: IpAddress.parse(hostIp) }),
  }
}

const from = (address: string, subnet: string) => ({
  address: IpAddress.parse(address),
  from: subnet === 'any' ? ('any' as const) : Prefix.parse(subnet),
})

const WEB = 'net 0a1b eth0'
const web: Hostports = {
  hostports: [
    hostport('tcp', 8080, '10.1.0.5#80'),
    hostport('udp', 53, '10.1.0.5#53', '192.0.2.1'),
    hostport('sctp', 8080, 'fd00::5#80'),
  ],
  masquerades: [from('10.1.0.5', '10.1.0.0/24'), from('fd00::5', 'fd00::/64')],
}
const DB = 'net 2c3d eth0'
const db: Hostports = {
  hostports: [hostport('tcp', 5432, '10.1.0.6#5432'), hostport('udp', 53, '10.1.0.6#53', '192.0.2.7')],
  masquerades: [from('10.1.0.6', 'any')],
}

const MAP_COMMENTS = {
  any: 'ports of the node that are a pod’s, at any of its addresses',
  on: 'ports of the node that are a pod’s, at one of its addresses',
  masquerade: 'pods that see the node behind its ports, by their own address',
}

const AFTER_WEB = `table inet podwire {
	comment "pods wired by podwire: changes are found and undone"
	map hostport_ipv4 {
		type inet_proto . inet_service : ipv4_addr . inet_service
		comment "${MAP_COMMENTS.any}"
		elements = { tcp . 8080 comment "net 0a1b eth0" : 10.1.0.5 . 80 }
	}

	map hostport_on_ipv4 {
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
		comment "${MAP_COMMENTS.on}"
		elements = { 192.0.2.1 . udp . 53 comment "net 0a1b eth0" : 10.1.0.5 . 53 }
	}

	map hostport_masquerade_ipv4 {
		type ipv4_addr : verdict
		comment "${MAP_COMMENTS.masquerade}"
		elements = { 10.1.0.5 comment "net 0a1b eth0" : goto hostport_from_10.1.0.0_24 }
	}

	map hostport_ipv6 {
		type inet_proto . inet_service : ipv6_addr . inet_service
		comment "${MAP_COMMENTS.any}"
		elements = { sctp . 8080 comment "net 0a1b eth0" : fd00::5 . 80 }
	}

	map hostport_on_ipv6 {
		type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service
		comment "${MAP_COMMENTS.on}"
	}

	map hostport_masquerade_ipv6 {
		type ipv6_addr : verdict
		comment "${MAP_COMMENTS.masquerade}"
		elements = { fd00::5 comment "net 0a1b eth0" : goto hostport_from_fd00--_64 }
	}

	chain hostports {
		ip6 daddr ::1 return
		meta mark set meta mark | 0x00002000
		dnat ip to ip daddr . meta l4proto . th dport map @hostport_on_ipv4
		dnat ip to meta l4proto . th dport map @hostport_ipv4
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @hostport_on_ipv6
		dnat ip6 to meta l4proto . th dport map @hostport_ipv6
		meta mark set meta mark & 0xffffdfff
	}

	chain hostport_prerouting {
		type nat hook prerouting priority -99; policy accept;
		ip daddr 127.0.0.0/8 iifname != "lo" drop
		fib daddr type local jump hostports
	}

	chain hostport_output {
		type nat hook output priority -99; policy accept;
		fib daddr type local jump hostports
	}

	chain hostport_postrouting {
		type nat hook postrouting priority 100; policy accept;
		meta mark & 0x00002000 == 0x00002000 ip daddr vmap @hostport_masquerade_ipv4
		meta mark & 0x00002000 == 0x00002000 ip6 daddr vmap @hostport_masquerade_ipv6
	}

	chain hostport_from_any {
		masquerade
	}

	chain hostport_input {
		type filter hook input priority 0; policy accept;
		ip daddr 127.0.0.0/8 iifname != "lo" goto hostport_to_loopback
	}

	chain hostport_to_loopback {
		ct status snat,dnat return
		drop
	}

	chain hostport_from_10.1.0.0_24 {
		ip saddr 10.1.0.0/24 masquerade
		ip saddr 127.0.0.0/8 masquerade
	}

	chain hostport_from_fd00--_64 {
		ip6 saddr fd00::/64 masquerade
	}
}
`
const AFTER_NONE = AFTER_WEB.replaceAll(/\t\telements = .*\n/g, '')

const chain = (name: string) => ({ table: podwireTable, name })

const DAMAGES: readonly {
  readonly name: string
  readonly operations: readonly NftOperation[]
  readonly differences: readonly string[]
}[] = [
  {
    name: 'the table is gone',
    operations: [{ verb: 'delete', table: podwireTable }],
    differences: [
      'chain inet podwire hostports: missing',
      'chain inet podwire hostport_prerouting: missing',
      'chain inet podwire hostport_output: missing',
      'chain inet podwire hostport_postrouting: missing',
      'chain inet podwire hostport_from_any: missing',
      'chain inet podwire hostport_input: missing',
      'chain inet podwire hostport_to_loopback: missing',
      'chain inet podwire hostport_from_10.1.0.0_24: missing',
      'chain inet podwire hostport_from_fd00--_64: missing',
      'element inet podwire hostport_masquerade_ipv4 { 10.1.0.5 }: missing',
      'element inet podwire hostport_masquerade_ipv6 { fd00::5 }: missing',
      'element inet podwire hostport_ipv4 { tcp . 8080 }: missing',
      'element inet podwire hostport_on_ipv4 { 192.0.2.1 . udp . 53 }: missing',
      'element inet podwire hostport_ipv6 { sctp . 8080 }: missing',
    ],
  },
  {
    name: 'the rules of a chain are gone',
    operations: [{ verb: 'flush', chain: chain('hostport_prerouting') }],
    differences: [
      String.raw`chain inet podwire hostport_prerouting: no rule "ip daddr 127.0.0.0/8 iifname != \"lo\" drop" in its place`,
    ],
  },
  {
    name: 'another rule comes first',
    operations: [{ verb: 'insert', rule: { chain: chain('hostports'), body: [accept] } }],
    differences: ['chain inet podwire hostports: no rule "ip6 daddr ::1 return" in its place'],
  },
  {
    name: 'there is a rule more',
    operations: [{ verb: 'add', rule: { chain: chain('hostports'), body: [accept] } }],
    differences: ['chain inet podwire hostports: 1 rule too many'],
  },
  {
    name: 'a chain is at another hook',
    operations: [
      { verb: 'delete', chain: chain('hostport_output') },
      {
        verb: 'add',
        chain: {
          ...chain('hostport_output'),
          base: { type: 'nat', hook: 'output', priority: 0, policy: 'accept' },
        },
      },
    ],
    differences: [
      'chain inet podwire hostport_output: "type nat hook output priority 0; policy accept;" instead of ' +
        '"type nat hook output priority -99; policy accept;"',
      'chain inet podwire hostport_output: no rule "fib daddr type local jump hostports" in its place',
    ],
  },
]

const ELEMENT_DAMAGES = {
  'a mapping is gone': [
    [{ verb: 'delete', elementsOf: hostportMaps[4].any, elements: [{ key: ['tcp', '8080'] }] }],
    'element inet podwire hostport_ipv4 { tcp . 8080 }: missing',
  ],
  'a mapping goes elsewhere': [
    [
      { verb: 'delete', elementsOf: hostportMaps[4].any, elements: [{ key: ['tcp', '8080'] }] },
      {
        verb: 'add',
        elementsOf: hostportMaps[4].any,
        elements: [{ key: ['tcp', '8080'], value: ['10.1.0.9', '80'], comment: WEB }],
      },
    ],
    'element inet podwire hostport_ipv4 { tcp . 8080 }: value "10.1.0.9 . 80" instead of "10.1.0.5 . 80"',
  ],
} as const satisfies Readonly<Record<string, readonly [readonly NftOperation[], string]>>

export function hostportTableContract(name: string, open: (t: Teardown) => NftUnderTest): void {
  test(`${name}: a host port is one element, and none when it is removed`, async (t) => {
    const { nft, dump } = open(t)
    t.strictSame(await listHostportElements(nft), [])
    t.strictSame(await checkHostports(nft, { hostports: [], masquerades: [] }, WEB), [])
    t.equal(await addHostports(nft, web, WEB), true, 'the table is new')
    t.equal(normalized(dump()), AFTER_WEB)
    t.equal(await addHostports(nft, web, WEB), false, 'again, by the same')
    t.equal(normalized(dump()), AFTER_WEB)
    t.strictSame(await checkHostports(nft, web, WEB), [])
    t.equal(await addHostports(nft, db, DB), false)
    t.strictSame(await checkHostports(nft, db, DB), [])
    t.equal((await listHostportElements(nft)).length, 8)
    await removeHostports(nft, db, DB)
    t.equal(normalized(dump()), AFTER_WEB)
    await removeHostports(nft, web, WEB)
    await removeHostports(nft, web, WEB)
    t.equal(dump(), AFTER_NONE)
  })

  test(`${name}: a port that is taken is refused, and nothing of the pod is added`, async (t) => {
    const { nft, dump } = open(t)
    await addHostports(nft, web, WEB)
    const greedy = { ...db, hostports: [...db.hostports, hostport('tcp', 8080, '10.1.0.6#80')] }
    await t.rejects(addHostports(nft, greedy, DB), {
      name: 'HostportTaken',
      code: 'EEXIST',
      message: 'host port 8080/tcp is taken by "net 0a1b eth0"',
      owner: WEB,
      hostport: { port: 8080 },
    })
    t.equal(normalized(dump()), AFTER_WEB)
    t.equal(await findHostportOwner(nft, hostport('tcp', 8080, '10.1.0.6#1')), WEB)
    t.equal(await findHostportOwner(nft, hostport('udp', 8080, '10.1.0.6#1')), undefined)
  })

  test(`${name}: a port whose holder gives it up just then is had`, async (t) => {
    const { nft } = open(t)
    const one = { hostports: web.hostports.slice(0, 1), masquerades: [] }
    await addHostports(nft, one, DB)
    let hasGone = false
    // After it was found taken, and before it is asked whose it is.
    const leaving = new Proxy(nft, {
      get: (target, key) => {
        const method = Reflect.get(target, key).bind(target)
        if (key !== 'findElement' || hasGone) return method
        hasGone = true
        return async (...words: unknown[]) => {
          await removeHostports(nft, one, DB)
          return method(...words)
        }
      },
    })
    t.equal(await addHostports(leaving, one, WEB), false)
    t.equal(hasGone, true)
    t.strictSame(await checkHostports(nft, one, WEB), [])
  })

  test(`${name}: one port is several pods’ by protocol, address and family`, async (t) => {
    const { nft } = open(t)
    await addHostports(nft, web, WEB)
    const others = [
      hostport('udp', 8080, '10.1.0.6#80'),
      hostport('tcp', 8080, 'fd00::6#80'),
      hostport('tcp', 8080, '10.1.0.6#80', '192.0.2.1'),
      hostport('udp', 53, '10.1.0.6#53'),
    ]
    await addHostports(nft, { hostports: others, masquerades: [] }, DB)
    t.strictSame(await checkHostports(nft, web, WEB), [])
    t.strictSame(await checkHostports(nft, { hostports: others, masquerades: [] }, DB), [])
  })

  test(`${name}: a port is not removed for another owner`, async (t) => {
    const { nft, dump } = open(t)
    await removeHostports(nft, web, WEB)
    t.equal(dump(), '', 'nothing is made by it')
    await addHostports(nft, web, WEB)
    await removeHostports(nft, web, DB)
    t.equal(normalized(dump()), AFTER_WEB)
  })

  test(`${name}: a pod has more ports than fit into one transaction`, async (t) => {
    const { nft } = open(t)
    const many = Array.from({ length: 600 }, (_, i) => hostport('tcp', 10_000 + i, '10.1.0.7#80'))
    const ports = { hostports: many, masquerades: [] }
    await addHostports(nft, ports, 'x'.repeat(200))
    t.equal((await listHostportElements(nft)).length, 600)
    t.strictSame(await checkHostports(nft, ports, 'x'.repeat(200)), [])
    await removeHostports(nft, ports, 'x'.repeat(200))
    t.strictSame(await listHostportElements(nft), [])
  })

  for (const { name: damage, operations, differences } of DAMAGES) {
    test(`${name}: a damage is found, and mended by adding, when ${damage}`, async (t) => {
      const { nft } = open(t)
      await addHostports(nft, web, WEB)
      await nft.apply(operations)
      t.strictSame(await checkHostports(nft, web, WEB), differences)
      t.strictSame(
        await checkHostportTable(nft),
        differences.filter((text) => !/element|_from_[1f]/.test(text)),
      )
      t.equal(await addHostports(nft, db, DB), true, 'others must be looked after')
      await restoreHostports(nft, web, WEB)
      t.strictSame(await checkHostports(nft, web, WEB), [])
      t.strictSame(await checkHostports(nft, db, DB), [])
    })
  }

  test(`${name}: the rules of every subnet are mended by adding when the table is flushed`, async (t) => {
    const { nft } = open(t)
    await addHostports(nft, web, WEB)
    await nft.apply([{ verb: 'flush', table: podwireTable }])
    t.equal(await addHostports(nft, db, DB), true)
    t.strictSame(await checkHostports(nft, web, WEB), [])
  })

  for (const [damage, [operations, difference]] of Object.entries(ELEMENT_DAMAGES)) {
    test(`${name}: a damage is found, and mended by its owner, when ${damage}`, async (t) => {
      const { nft, dump } = open(t)
      await addHostports(nft, web, WEB)
      await nft.apply(operations)
      t.strictSame(await checkHostports(nft, web, WEB), [difference])
      await addHostports(nft, web, WEB)
      t.equal(normalized(dump()), AFTER_WEB)
    })
  }

  test(`${name}: what is another’s by now is not restored`, async (t) => {
    const { nft } = open(t)
    await addHostports(nft, web, WEB)
    await removeHostports(nft, web, WEB)
    const taken = { hostports: [hostport('tcp', 8080, '10.1.0.6#80')], masquerades: [] }
    await addHostports(nft, taken, DB)
    await restoreHostports(nft, web, WEB)
    t.strictSame(await checkHostports(nft, taken, DB), [])
    t.strictSame(await checkHostports(nft, web, WEB), [
      'element inet podwire hostport_ipv4 { tcp . 8080 }: value "10.1.0.6 . 80" instead of "10.1.0.5 . 80"',
      `element inet podwire hostport_ipv4 { tcp . 8080 }: comment "${DB}" instead of "${WEB}"`,
    ])
  })
}
