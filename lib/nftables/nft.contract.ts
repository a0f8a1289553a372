// What every `Nft` does, on the fake and on the kernel alike. State is compared as the text of
// `nft -sy list ruleset`.

import { test } from 'tap'
import { chainName, type NftChain } from './chain.ts'
import { isAlreadyExists, isBusy, isNotFound, NftError } from './error.ts'
import { daddr, saddr } from './field.ts'
import { additions, removals } from './golden-cases.ts'
import type { Nft } from './nft.ts'
import type { NftOperation } from './operation.ts'
import { isSameBody, type NftRule } from './rule.ts'
import type { NftMap, NftSet } from './set.ts'
import { accept, counter, drop, equals, goto, inSet, jump, verdictMap } from './statement.ts'
import type { NftTable } from './table.ts'

export interface NftUnderTest {
  readonly nft: Nft
  /** All there is, as nft lists it. */
  dump(): string
}

interface Teardown {
  teardown(work: () => void): void
}

/** Lists of elements are broken into lines by nft, and in no order: one line, sorted. */
export function normalized(dump: string): string {
  const joined = dump.replace(/,\n\t+ */g, ', ')
  return joined.replace(/elements = \{ (.*) \}/g, (_, list: string) => {
    const sorted = list.split(', ').sort().join(', ')
    return `elements = { ${sorted} }`
  })
}

const table: NftTable = { family: 'inet', name: 'contract', comment: 'of a test' }
const input: NftChain = {
  table,
  name: 'input',
  base: { type: 'filter', hook: 'input', priority: 0, policy: 'accept' },
}
const pods: NftChain = { table, name: 'pods' }
const other: NftChain = { table, name: 'other' }
const addresses: NftSet = { table, name: 'addresses', type: ['ipv4_addr'] }
const verdicts: NftMap = { table, name: 'verdicts', type: ['ipv4_addr'], value: 'verdict' }
const nowhere: NftTable = { family: 'inet', name: 'nowhere' }

const element = (key: string, more: { comment?: string; value?: string[] } = {}) => [{ key: [key], ...more }]
const acceptPods: NftRule = { chain: pods, body: [inSet([saddr(4)], addresses), counter, accept] }
const dropOne: NftRule = { chain: pods, body: [equals(daddr(4), '10.1.0.1'), drop], comment: 'this one' }
const jumpToPods: NftRule = { chain: input, body: [jump(pods)] }
const lookUp: NftRule = { chain: input, body: [verdictMap([saddr(4)], verdicts)] }

const setup: readonly NftOperation[] = [
  { verb: 'add', table },
  { verb: 'add', chain: input },
  { verb: 'add', chain: pods },
  { verb: 'add', chain: other },
  { verb: 'add', set: addresses },
  { verb: 'add', set: verdicts },
  { verb: 'add', rule: acceptPods },
  { verb: 'add', rule: lookUp },
  { verb: 'add', elementsOf: addresses, elements: element('10.1.0.5', { comment: 'a pod' }) },
  {
    verb: 'add',
    elementsOf: verdicts,
    elements: element('10.1.0.5', { comment: 'its way', value: ['goto pods'] }),
  },
]

const AFTER_SETUP = `table inet contract {
	comment "of a test"
	set addresses {
		type ipv4_addr
		elements = { 10.1.0.5 comment "a pod" }
	}

	map verdicts {
		type ipv4_addr : verdict
		elements = { 10.1.0.5 comment "its way" : goto pods }
	}

	chain input {
		type filter hook input priority 0; policy accept;
		ip saddr vmap @verdicts
	}

	chain pods {
		ip saddr @addresses counter accept
	}

	chain other {
	}
}
`

interface Row {
  readonly name: string
  readonly operations: readonly NftOperation[]
  /** How the dump differs from that after the setup: text and what is in its place. */
  readonly changes?: readonly (readonly [string, string])[]
  readonly fails?: { readonly code: string; readonly operation: string }
}

const ROWS: readonly Row[] = [
  { name: 'add of what is there changes nothing', operations: setup.filter((one) => !('rule' in one)) },
  {
    name: 'add of an element that is there keeps its comment',
    operations: [{ verb: 'add', elementsOf: addresses, elements: element('10.1.0.5', { comment: 'new' }) }],
  },
  {
    name: 'destroy and add of an element in one transaction replaces it',
    operations: [
      { verb: 'destroy', elementsOf: verdicts, elements: element('10.1.0.5') },
      {
        verb: 'add',
        elementsOf: verdicts,
        elements: element('10.1.0.5', { comment: 'new', value: ['goto other'] }),
      },
    ],
    changes: [['10.1.0.5 comment "its way" : goto pods', '10.1.0.5 comment "new" : goto other']],
  },
  {
    name: 'add puts a rule last and insert puts it first',
    operations: [
      { verb: 'insert', rule: dropOne },
      { verb: 'add', rule: { chain: pods, body: [accept] } },
    ],
    changes: [
      [
        '\t\tip saddr @addresses counter accept\n',
        '\t\tip daddr 10.1.0.1 drop comment "this one"\n\t\tip saddr @addresses counter accept\n\t\taccept\n',
      ],
    ],
  },
  {
    name: 'flush of a chain takes its rules',
    operations: [{ verb: 'flush', chain: pods }],
    changes: [['\t\tip saddr @addresses counter accept\n', '']],
  },
  {
    name: 'flush of a table takes the rules of all chains',
    operations: [{ verb: 'flush', table }],
    changes: [
      ['\t\tip saddr @addresses counter accept\n', ''],
      ['\t\tip saddr vmap @verdicts\n', ''],
    ],
  },
  {
    name: 'flush of a set takes its elements',
    operations: [{ verb: 'flush', set: addresses }],
    changes: [['\t\telements = { 10.1.0.5 comment "a pod" }\n', '']],
  },
  {
    name: 'destroy of what is not there changes nothing',
    operations: [
      { verb: 'destroy', table: nowhere },
      { verb: 'destroy', chain: { table, name: 'nowhere' } },
      { verb: 'destroy', set: { ...addresses, name: 'nowhere' } },
      { verb: 'destroy', elementsOf: addresses, elements: element('10.1.0.6') },
    ],
  },
  {
    name: 'destroy takes what is there',
    operations: [
      { verb: 'destroy', chain: other },
      { verb: 'destroy', elementsOf: addresses, elements: [...element('10.1.0.6'), ...element('10.1.0.5')] },
    ],
    changes: [
      ['\n\tchain other {\n\t}\n', ''],
      ['\t\telements = { 10.1.0.5 comment "a pod" }\n', ''],
    ],
  },
  {
    name: 'destroy takes what was added before it in the transaction',
    operations: [
      { verb: 'add', elementsOf: addresses, elements: element('10.1.0.6') },
      { verb: 'destroy', elementsOf: addresses, elements: element('10.1.0.6') },
      { verb: 'add', chain: { table, name: 'brief' } },
      { verb: 'destroy', chain: { table, name: 'brief' } },
    ],
  },
  {
    name: 'delete of a chain takes its rules',
    operations: [
      { verb: 'add', rule: { chain: other, body: [accept] } },
      { verb: 'delete', chain: other },
    ],
    changes: [['\n\tchain other {\n\t}\n', '']],
  },
  {
    name: 'delete of a table takes all that is in it',
    operations: [{ verb: 'delete', table }],
    changes: [[AFTER_SETUP, '']],
  },
  {
    name: 'create of a table that is there',
    operations: [{ verb: 'create', table }],
    fails: { code: 'EEXIST', operation: 'create table inet contract { comment "of a test"; }' },
  },
  {
    name: 'create of a chain that is there',
    operations: [{ verb: 'create', chain: pods }],
    fails: { code: 'EEXIST', operation: 'create chain inet contract pods' },
  },
  {
    name: 'create of a set that is there',
    operations: [{ verb: 'create', set: addresses }],
    fails: { code: 'EEXIST', operation: 'create set inet contract addresses { type ipv4_addr; }' },
  },
  {
    name: 'create of an element that is there',
    operations: [{ verb: 'create', elementsOf: addresses, elements: element('10.1.0.5') }],
    fails: { code: 'EEXIST', operation: 'create element inet contract addresses { 10.1.0.5 }' },
  },
  {
    name: 'add of an element whose key has another value',
    operations: [{ verb: 'add', elementsOf: verdicts, elements: element('10.1.0.5', { value: ['accept'] }) }],
    fails: { code: 'EEXIST', operation: 'add element inet contract verdicts { 10.1.0.5 : accept }' },
  },
  {
    name: 'add of a set that is there with another type',
    operations: [{ verb: 'add', set: { ...addresses, type: ['ipv6_addr'] } }],
    fails: { code: 'EEXIST', operation: 'add set inet contract addresses { type ipv6_addr; }' },
  },
  {
    name: 'add of a chain that is there at another hook',
    operations: [{ verb: 'add', chain: { ...input, base: { type: 'filter', hook: 'output', priority: 0 } } }],
    fails: {
      code: 'EOPNOTSUPP',
      operation: 'add chain inet contract input { type filter hook output priority 0; policy accept; }',
    },
  },
  {
    name: 'add of a chain that is there with another priority',
    operations: [{ verb: 'add', chain: { ...input, base: { type: 'filter', hook: 'input', priority: 1 } } }],
    fails: {
      code: 'EOPNOTSUPP',
      operation: 'add chain inet contract input { type filter hook input priority 1; policy accept; }',
    },
  },
  {
    name: 'add of a chain that is there without a hook',
    operations: [{ verb: 'add', chain: { ...pods, base: { type: 'filter', hook: 'input', priority: 0 } } }],
    fails: {
      code: 'EEXIST',
      operation: 'add chain inet contract pods { type filter hook input priority 0; policy accept; }',
    },
  },
  ...(
    [
      [{ verb: 'delete', table: nowhere }, 'delete table inet nowhere'],
      [{ verb: 'flush', table: nowhere }, 'flush table inet nowhere'],
      [{ verb: 'add', chain: { table: nowhere, name: 'c' } }, 'add chain inet nowhere c'],
      [{ verb: 'destroy', chain: { table: nowhere, name: 'c' } }, 'destroy chain inet nowhere c'],
      [{ verb: 'delete', chain: { table, name: 'nowhere' } }, 'delete chain inet contract nowhere'],
      [{ verb: 'flush', chain: { table, name: 'nowhere' } }, 'flush chain inet contract nowhere'],
      [{ verb: 'delete', set: { ...addresses, name: 'nowhere' } }, 'delete set inet contract nowhere'],
      [{ verb: 'flush', set: { ...addresses, name: 'nowhere' } }, 'flush set inet contract nowhere'],
      [
        { verb: 'delete', elementsOf: addresses, elements: element('10.1.0.6') },
        'delete element inet contract addresses { 10.1.0.6 }',
      ],
      [
        { verb: 'add', elementsOf: { ...addresses, name: 'nowhere' }, elements: element('10.1.0.6') },
        'add element inet contract nowhere { 10.1.0.6 }',
      ],
      [
        { verb: 'destroy', elementsOf: { ...addresses, name: 'nowhere' }, elements: element('10.1.0.6') },
        'destroy element inet contract nowhere { 10.1.0.6 }',
      ],
      [
        { verb: 'add', elementsOf: verdicts, elements: element('10.1.0.6', { value: ['goto nowhere'] }) },
        'add element inet contract verdicts { 10.1.0.6 : goto nowhere }',
      ],
      [
        { verb: 'add', rule: { chain: { table, name: 'nowhere' }, body: [accept] } },
        'add rule inet contract nowhere accept',
      ],
      [
        { verb: 'add', rule: { chain: pods, body: [inSet([saddr(4)], { ...addresses, name: 'nowhere' })] } },
        'add rule inet contract pods ip saddr @nowhere',
      ],
      [
        { verb: 'add', rule: { chain: pods, body: [goto({ table, name: 'nowhere' })] } },
        'add rule inet contract pods goto nowhere',
      ],
      [
        { verb: 'delete', ruleIn: table, rule: { chain: 'pods', handle: 4711n } },
        'delete rule inet contract pods handle 4711',
      ],
    ] as readonly (readonly [NftOperation, string])[]
  ).map(([operation, text]) => ({
    name: `${text} where something is missing`,
    operations: [operation],
    fails: { code: 'ENOENT', operation: text },
  })),
  {
    name: 'delete of a chain that an element goes to',
    operations: [{ verb: 'delete', chain: pods }],
    fails: { code: 'EBUSY', operation: 'delete chain inet contract pods' },
  },
  {
    name: 'delete of a chain that a rule jumps to',
    operations: [
      { verb: 'flush', set: verdicts },
      { verb: 'add', rule: jumpToPods },
      { verb: 'delete', chain: pods },
    ],
    fails: { code: 'EBUSY', operation: 'delete chain inet contract pods' },
  },
  {
    name: 'delete of a set that a rule looks into',
    operations: [{ verb: 'delete', set: addresses }],
    fails: { code: 'EBUSY', operation: 'delete set inet contract addresses' },
  },
  {
    name: 'transaction whose middle is refused',
    operations: [
      { verb: 'add', table: nowhere },
      { verb: 'delete', elementsOf: addresses, elements: element('10.1.0.6') },
      { verb: 'flush', table },
    ],
    fails: { code: 'ENOENT', operation: 'delete element inet contract addresses { 10.1.0.6 }' },
  },
  {
    name: 'transaction of which two are refused',
    operations: [
      { verb: 'create', table },
      { verb: 'delete', table: nowhere },
    ],
    fails: { code: 'EEXIST', operation: 'create table inet contract { comment "of a test"; }' },
  },
  {
    name: 'comment that the kernel has no room for',
    operations: [
      { verb: 'add', elementsOf: addresses, elements: element('10.1.0.6', { comment: 'x'.repeat(254) }) },
    ],
    fails: {
      code: 'ERANGE',
      operation: `add element inet contract addresses { 10.1.0.6 comment "${'x'.repeat(254)}" }`,
    },
  },
]

export function nftContract(subject: string, open: (t: Teardown) => NftUnderTest): void {
  test(`${subject} has nothing when it is new`, async (t) => {
    const { nft, dump } = open(t)
    t.equal(dump(), '')
    t.same(await nft.listTables(), [])
    t.same(await nft.listChains(table), [])
    t.same(await nft.listSets(table), [])
    t.same(await nft.listRules(table), [])
    t.same(await nft.listElements(addresses), [])
    t.equal(await nft.findElement(addresses, ['10.1.0.5']), undefined)
    await nft.apply([])
  })

  for (const { name, operations, changes = [], fails } of ROWS) {
    test(`${subject}: ${name}${fails ? ` is refused with ${fails.code} and changes nothing` : ''}`, async (t) => {
      const { nft, dump } = open(t)
      await nft.apply(setup)
      t.equal(normalized(dump()), AFTER_SETUP)
      const work = nft.apply(operations)
      if (fails) await t.rejects(work, { name: 'NftError', ...fails })
      else await work
      const expected = changes.reduce((text, [from, to]) => text.replace(from, to), AFTER_SETUP)
      t.equal(normalized(dump()), expected)
    })
  }

  test(`${subject} lists the chains at a hook, of all tables, and the rules of one chain`, async (t) => {
    const { nft } = open(t)
    await nft.apply(setup)
    const ip: NftTable = { family: 'ip', name: 'other' }
    const forward: NftChain = {
      table: ip,
      name: 'FORWARD',
      base: { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' },
    }
    const bridge: NftTable = { family: 'bridge', name: 'other' }
    const ports: NftChain = { ...forward, table: bridge }
    await nft.apply([
      { verb: 'add', table: ip },
      { verb: 'add', chain: forward },
      { verb: 'add', table: bridge },
      { verb: 'add', chain: ports },
      { verb: 'add', rule: { chain: forward, body: [accept] } },
    ])
    const names = async (hook: 'input' | 'forward' | 'output') =>
      (await nft.listBaseChains(hook)).map((one) => `${chainName(one)} ${one.base?.policy}`).sort()
    t.same(await names('forward'), ['bridge other FORWARD drop', 'ip other FORWARD drop'])
    t.same(await names('input'), ['inet contract input accept'])
    t.same(await names('output'), [])
    t.same((await nft.listRules(ip, 'FORWARD')).length, 1)
    t.same(await nft.listRules(table, 'other'), [])
    t.same(await nft.listRules(table, 'nosuch'), [])
    t.same(new Set((await nft.listRules(table, 'pods')).map((one) => one.chain)), new Set(['pods']))
  })

  test(`${subject} tells errors apart when asked`, async (t) => {
    const { nft } = open(t)
    await nft.apply(setup)
    const errorOf = async (operation: NftOperation) => nft.apply([operation]).catch((error: unknown) => error)
    const missing = await errorOf({ verb: 'delete', table: nowhere })
    const present = await errorOf({ verb: 'create', table })
    const busy = await errorOf({ verb: 'delete', set: addresses })
    const predicates = [isNotFound, isAlreadyExists, isBusy]
    t.same(
      predicates.map((is) => is(missing)),
      [true, false, false],
    )
    t.same(
      predicates.map((is) => is(present)),
      [false, true, false],
    )
    t.same(
      predicates.map((is) => is(busy)),
      [false, false, true],
    )
    t.equal(isNotFound(new Error('ENOENT')), false)
    t.ok(missing instanceof NftError)
    t.match(missing, { message: /^delete table inet nowhere: ENOENT: / })
  })

  test(`${subject} lists what was added when asked`, async (t) => {
    const { nft } = open(t)
    await nft.apply(setup)
    await nft.apply([{ verb: 'add', table: nowhere }])
    t.same((await nft.listTables()).map(({ name }) => name).sort(), ['contract', 'nowhere'])
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
    t.same((await nft.listChains(table)).sort(byName), [input, other, pods])
    t.same((await nft.listSets(table)).sort(byName), [addresses, verdicts])
    t.same(
      await nft.listElements(verdicts),
      element('10.1.0.5', { comment: 'its way', value: ['goto pods'] }),
    )
    const rules = await nft.listRules(table)
    t.same(rules.map(({ chain }) => chain).sort(), ['input', 'pods'])
    const inPods = rules.find(({ chain }) => chain === 'pods')
    t.equal(inPods && isSameBody(acceptPods, inPods), true)
    t.equal(inPods && isSameBody(dropOne, inPods), false)
    const more = element('10.1.0.6')
    const after = await nft.applyAndListRules([{ verb: 'add', elementsOf: addresses, elements: more }], table)
    t.same(after, rules)
    t.same(await nft.findElement(addresses, ['10.1.0.6']), more[0])
    await t.rejects(nft.applyAndListRules([{ verb: 'create', table }], table), { code: 'EEXIST' })
  })

  test(`${subject} finds an element by its key when there are others`, async (t) => {
    const { nft } = open(t)
    const more = [...element('10.1.0.6', { comment: 'b' }), ...element('10.1.0.7')]
    await nft.apply([...setup, { verb: 'add', elementsOf: addresses, elements: more }])
    t.same(await nft.findElement(addresses, ['10.1.0.6']), { key: ['10.1.0.6'], comment: 'b' })
    t.equal(await nft.findElement(addresses, ['10.1.0.8']), undefined)
    t.equal(await nft.findElement({ ...addresses, name: 'nowhere' }, ['10.1.0.6']), undefined)
  })

  test(`${subject} deletes a rule by its handle when there are others`, async (t) => {
    const { nft, dump } = open(t)
    await nft.apply([...setup, { verb: 'add', rule: dropOne }])
    const rule = (await nft.listRules(table)).find(({ comment }) => comment === 'this one')
    if (rule === undefined) return t.fail('no rule with that comment')
    await nft.apply([{ verb: 'delete', ruleIn: table, rule }])
    t.equal(normalized(dump()), AFTER_SETUP)
  })

  test(`${subject} takes one of every kind of object and statement`, async (t) => {
    const { nft, dump } = open(t)
    await nft.apply(additions)
    t.equal(normalized(dump()), GOLDEN_DUMP)
    await nft.apply(removals)
    t.equal(dump(), '')
  })
}

const GOLDEN_DUMP = `table inet golden {
	comment "one of each"
	set addresses {
		type ipv4_addr
		comment "some pods"
		elements = { 10.1.0.5 comment "a pod" }
	}

	set addresses6 {
		type ipv6_addr
		elements = { fd00::5 }
	}

	set links {
		type ifname
		size 128
		elements = { "eth0" }
	}

	set brief {
		type ipv4_addr
		timeout 30s
		elements = { 10.1.0.9 timeout 10m }
	}

	set subnets {
		type ipv4_addr
		flags interval
		elements = { 255.255.255.0/24 }
	}

	set pairs {
		type ipv4_addr . ipv4_addr
		flags interval
		elements = { 10.1.0.5 . 10.1.0.0/24 comment "own" }
	}

	map verdicts {
		type ipv4_addr : verdict
		comment "what becomes of pods"
		elements = { 10.1.0.5 comment "net 0a1b eth0" : goto pods }
	}

	map ports {
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = { tcp . 8080 : 10.1.0.5 . 80 }
	}

	map marks {
		type ether_addr : mark
		elements = { 0a:58:0a:01:00:05 : 0x00000007 }
	}

	chain postrouting {
		comment "source"
		type nat hook postrouting priority 100; policy accept;
		ip saddr vmap @verdicts
		ip saddr . ip daddr @pairs return
		ip6 saddr != @addresses6 counter accept
		ip saddr @addresses masquerade comment "pods leave here"
	}

	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		fib daddr type local dnat ip to meta l4proto . th dport map @ports
		tcp dport 8080 dnat ip to 10.1.0.5:80
		tcp dport 8081 dnat ip6 to [fd00::5]:80
		ip daddr 10.0.0.1 dnat ip to 10.1.0.5
	}

	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state established,related accept
		ct status dnat accept
		iifname "eth0" oifname != "lo" jump pods
		goto pods
	}

	chain pods {
		ip daddr 224.0.0.0/4 return
		ip daddr 10.1.0.0/24 return
		ip daddr 10.1.0.0/25 return
		ip daddr != 10.1.0.1 drop
		ip6 daddr ff00::/8 return
		ip6 daddr fd00:1::/64 return
		ip saddr 10.1.0.1 ip daddr 10.1.0.2 accept
		tcp dport 80 accept
		udp dport 1000-2000 accept
		meta l4proto tcp accept
		meta mark 0x00000007 accept
		meta mark & 0x00004000 == 0x00004000 accept
		meta mark set meta mark | 0x00004000
	}
}
`
