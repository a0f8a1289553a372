// The contract on the kernel, read back by nft; and what only a kernel has.

import tap, { type Test, test } from 'tap'
import type { Transport } from '../netlink/connection.ts'
import { NLM_F_ECHO } from '../netlink/message.ts'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { makeNamespace, runJson } from '../testing/netns.ts'
import { olderKernel } from '../testing/older-kernel.ts'
import { openRelayed } from '../testing/relayed.ts'
import { podwireTable } from './masquerade-rules.ts'
import { NFT_MSG_GETGEN } from './messages.ts'
import { nftContract } from './nft.contract.ts'
import type { Nft } from './nft.ts'
import { NftSocket } from './nft-socket.ts'
import { podwireTableContract } from './podwire-table.contract.ts'
import type { NftSet } from './set.ts'
import { spoofTableContract } from './spoof-table.contract.ts'
import type { NftTable } from './table.ts'

// Emptied for every test: to make a namespace takes longer than most of them.
const ns = makeNamespace(tap, 'nft')

function open(
  t: { teardown(work: () => void): void },
  openTransport = () => ns.netns.enter(() => openSocket(NETLINK_NETFILTER)),
) {
  ns.run('nft', 'flush', 'ruleset')
  const nft = new NftSocket(openTransport)
  t.teardown(() => nft.close())
  return { nft, dump: () => ns.run('nft', '-sy', 'list', 'ruleset') }
}

nftContract('kernel', open)
nftContract('kernel by the relay', (t) => open(t, () => openRelayed(ns.netns, NETLINK_NETFILTER)))
podwireTableContract('kernel', open)
spoofTableContract('kernel', open)

const table: NftTable = { family: 'inet', name: 'kernel' }
const addresses: NftSet = { table, name: 'addresses', type: ['ipv4_addr'] }
const numbers = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    key: [`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`],
    comment: `pod ${i}`,
  }))

/** In one transaction, of two operations. */
async function addNumbers(nft: Nft, count: number) {
  const elements = numbers(count)
  const halves = [elements.slice(0, count / 2), elements.slice(count / 2)]
  await nft.apply([
    { verb: 'add', table },
    { verb: 'add', set: addresses },
    ...halves.map((half) => ({ verb: 'add', elementsOf: addresses, elements: half }) as const),
  ])
  return elements
}

test('kernel takes a large transaction and lists it in several datagrams', async (t) => {
  const { nft } = open(t)
  const elements = await addNumbers(nft, 2400)
  const listed = await nft.listElements(addresses)
  t.same(
    new Set(listed.map(({ key, comment }) => `${key} ${comment}`)),
    new Set(elements.map(({ key, comment }) => `${key} ${comment}`)),
  )
  // Dumps on one socket wait for each other, and other requests do not wait for them.
  const [one, again, found] = await Promise.all([
    nft.listElements(addresses),
    nft.listElements(addresses),
    nft.findElement(addresses, ['10.0.0.7']),
  ])
  t.equal(one.length, 2400)
  t.equal(again.length, 2400)
  t.same(found, { key: ['10.0.0.7'], comment: 'pod 7' })
})

test('elements are listed anew when some come twice, and others do not', async (t) => {
  ns.run('nft', 'flush', 'ruleset')
  let isTwin = true
  const nft = new NftSocket(() => {
    const transport = ns.netns.enter(() => openSocket(NETLINK_NETFILTER))
    let first: Uint8Array | undefined
    return {
      send: (datagram) => transport.send(datagram),
      listen: (onDatagram, onError) => transport.listen(onDatagram, onError),
      close: () => transport.close(),
      // What the kernel does while it rehashes: the second datagram of the first list is as the first.
      receive() {
        const datagram = transport.receive?.()
        if (datagram === undefined || datagram.length < 10_000 || !isTwin) return datagram
        isTwin = first === undefined
        first ??= datagram
        return first
      },
    }
  })
  t.teardown(() => nft.close())
  const elements = await addNumbers(nft, 2000)
  const listed = await nft.listElements(addresses)
  t.same(new Set(listed.map(({ key }) => `${key}`)), new Set(elements.map(({ key }) => `${key}`)))
  t.notOk(isTwin, 'it was twice at first')
})

test('kernel is not asked when a transaction is larger than it takes', async (t) => {
  const { nft, dump } = open(t)
  const thirds = [0, 1, 2, 3, 4].map((i) =>
    numbers(1000).map(({ key }) => ({ key, comment: `${i}`.repeat(30) })),
  )
  const work = nft.apply([
    { verb: 'add', table },
    { verb: 'add', set: addresses },
    ...thirds.map((elements) => ({ verb: 'add', elementsOf: addresses, elements }) as const),
  ])
  await t.rejects(work, {
    code: 'EMSGSIZE',
    operation: /^add table inet kernel and 6 more \([0-9]+ bytes\)$/,
    message: /EMSGSIZE: a transaction cannot be split/,
  })
  await t.rejects(nft.apply(Array.from({ length: 201 }, () => ({ verb: 'add', table }))), {
    code: 'EMSGSIZE',
  })
  t.equal(dump(), '')
  await nft.apply([{ verb: 'add', table }]) // the socket is as good as before
})

test('kernel answers when every operation of a transaction is refused', async (t) => {
  const { nft } = open(t)
  const deletes = numbers(100).map(
    (element) => ({ verb: 'delete', elementsOf: addresses, elements: [element] }) as const,
  )
  await t.rejects(nft.apply(deletes), {
    code: 'ENOENT',
    operation: 'delete element inet kernel addresses { 10.0.0.0 }',
  })
})

test('kernel refuses everything when there is no privilege', async (t) => {
  ns.run('nft', 'flush', 'ruleset')
  // A process that has given up root keeps no capability over the namespace.
  const script = `
    import { NftSocket } from ${JSON.stringify(new URL('./nft-socket.ts', import.meta.url).href)}
    import { NETLINK_NETFILTER, openSocket } from ${JSON.stringify(new URL('../netlink/socket.ts', import.meta.url).href)}
    const nft = new NftSocket(() => openSocket(NETLINK_NETFILTER))
    process.setuid(65534)
    await nft.apply([{ verb: 'add', table: { family: 'inet', name: 't' } }]).catch((e) => console.log(e.code, e.operation))
    nft.close()`
  const said = ns.run(process.execPath, '--input-type=module', '-e', script)
  t.equal(said, 'EPERM add table inet t (20 bytes)\n')
})

test('kernel tells which transaction is refused when several are under way', async (t) => {
  const { nft } = open(t)
  await nft.apply([
    { verb: 'add', table },
    { verb: 'add', set: addresses },
  ])
  const settled = await Promise.allSettled([
    nft.apply([{ verb: 'add', elementsOf: addresses, elements: [{ key: ['10.0.0.1'] }] }]),
    nft.apply([{ verb: 'delete', elementsOf: addresses, elements: [{ key: ['10.0.0.2'] }] }]),
    nft.apply([{ verb: 'create', elementsOf: addresses, elements: [{ key: ['10.0.0.1'] }] }]),
    nft.apply([{ verb: 'add', elementsOf: addresses, elements: [{ key: ['10.0.0.3'] }] }]),
  ])
  t.same(
    settled.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'ok')),
    ['ok', 'ENOENT', 'EEXIST', 'ok'],
  )
})

test('kernel has what was added in the words of nft in JSON', async (t) => {
  const { nft } = open(t)
  const pairs: NftSet = { table, name: 'pairs', type: ['ipv4_addr', 'inet_service'], flags: ['interval'] }
  await nft.apply([
    { verb: 'add', table },
    { verb: 'add', set: pairs },
    { verb: 'add', elementsOf: pairs, elements: [{ key: ['10.1.0.0/24', '80-90'], comment: 'web' }] },
  ])
  const { nftables } = runJson(ns, 'nft', '-j', 'list', 'set', 'inet', 'kernel', 'pairs') as {
    nftables: object[]
  }
  t.match(nftables[1], {
    set: {
      family: 'inet',
      name: 'pairs',
      table: 'kernel',
      type: ['ipv4_addr', 'inet_service'],
      flags: ['interval'],
      elem: [
        {
          elem: {
            val: { concat: [{ prefix: { addr: '10.1.0.0', len: 24 } }, { range: [80, 90] }] },
            comment: 'web',
          },
        },
      ],
    },
  })
  t.same(await nft.findElement(pairs, ['10.1.0.0/24', '80-90']), {
    key: ['10.1.0.0/24', '80-90'],
    comment: 'web',
  })
})

const TRANSPORTS: Readonly<Record<string, () => Transport>> = {
  'from this thread': () => ns.netns.enter(() => openSocket(NETLINK_NETFILTER)),
  'by the relay': () => openRelayed(ns.netns, NETLINK_NETFILTER),
  'without echoes': withoutEchoes,
}

/** Linux before 5.10 tells no generation with a transaction. */
function withoutEchoes(): Transport {
  const transport = ns.netns.enter(() => openSocket(NETLINK_NETFILTER))
  return olderKernel(transport, (datagram, at) => {
    datagram.setUint16(at + 6, datagram.getUint16(at + 6, true) & ~NLM_F_ECHO, true)
  })
}

for (const [how, socket] of Object.entries(TRANSPORTS))
  test(`kernel is asked ${how} for the rules of our table once, until somebody changes something`, (t) =>
    askForRules(t, socket))

async function askForRules(t: Test, socket: () => Transport): Promise<void> {
  ns.run('nft', 'flush', 'ruleset')
  const lines: string[] = []
  const nft = new NftSocket(socket, (line) => lines.push(line))
  t.teardown(() => nft.close())
  const pods = { ...addresses, table: podwireTable }
  const add = (address: string) =>
    nft.apply([
      { verb: 'destroy', elementsOf: pods, elements: [{ key: [address] }] },
      { verb: 'add', elementsOf: pods, elements: [{ key: [address] }] },
    ])
  const asked = () => (lines.some((line) => line.includes('NFT_MSG_GETRULE')) ? 'read' : 'known')
  const look = async () => {
    lines.length = 0
    const { length } = await nft.listRules(podwireTable)
    return `${length} ${asked()}`
  }
  const addAndLook = async (address: string) => {
    lines.length = 0
    const element = { elementsOf: pods, elements: [{ key: [address] }] }
    const { length } = await nft.applyAndListRules([{ verb: 'create', ...element }], podwireTable)
    const isAsked = lines.some((line) => line.includes('NFT_MSG_GETGEN'))
    return `${length} ${asked()}${isAsked ? ', generation asked' : ''}`
  }
  await nft.apply([
    { verb: 'add', table: podwireTable },
    { verb: 'add', set: pods },
    { verb: 'add', chain: { table: podwireTable, name: 'a' } },
  ])
  t.equal(await look(), '0 read')
  t.equal(await look(), '0 known')
  ns.run('nft', 'add', 'rule', 'inet', 'podwire', 'a', 'accept')
  t.equal(await look(), '1 read')
  await add('10.1.0.1')
  await Promise.all([add('10.1.0.2'), add('10.1.0.3')])
  t.equal(await look(), '1 known', 'elements of ours are no rules')
  const toldBy = socket === withoutEchoes ? ', generation asked' : ''
  t.equal(await addAndLook('10.1.1.1'), `1 known${toldBy}`, 'the transaction tells its generation')
  const many = Array.from({ length: 17 }, (_, i) => ({ key: [`10.1.2.${i}`] }))
  lines.length = 0
  await nft.apply([{ verb: 'create', elementsOf: pods, elements: many }])
  t.equal(lines.filter((line) => line.includes('NFT_MSG_GETGEN')).length, 1, 'many are not echoed')
  ns.run('nft', 'add', 'rule', 'inet', 'podwire', 'a', 'drop')
  await add('10.1.0.4')
  t.equal(await look(), '2 read', 'another was there before ours')
  await add('10.1.0.5')
  ns.run('nft', 'flush', 'chain', 'inet', 'podwire', 'a')
  t.equal(await look(), '0 read', 'another was there after ours')
  await nft.apply([{ verb: 'destroy', elementsOf: pods, elements: [{ key: ['10.9.9.9'] }] }])
  ns.run('nft', 'add', 'rule', 'inet', 'podwire', 'a', 'accept')
  t.equal(await look(), '1 read', 'ours did nothing, and another counted up')
  await t.rejects(nft.apply([{ verb: 'create', set: pods }]), { code: 'EEXIST' })
  t.equal(await look(), '1 known', 'a transaction that is refused changes nothing')
  ns.run('nft', 'add', 'rule', 'inet', 'podwire', 'a', 'drop')
  t.equal(await addAndLook('10.1.1.2'), '2 read, generation asked', 'another was there before ours')
  ns.run('nft', 'delete', 'table', 'inet', 'podwire')
  t.equal(await look(), '0 read')
}

test('kernel is asked for the rules of our table again when somebody has changed them meanwhile', async (t) => {
  let generations = 0
  const rival = (datagram: DataView, at: number) => {
    if (datagram.getUint16(at + 4, true) !== NFT_MSG_GETGEN.type || ++generations !== 2) return
    ns.run('nft', 'add', 'rule', 'inet', 'podwire', 'a', 'accept') // after the rules were listed
  }
  const { nft } = open(t, () =>
    olderKernel(
      ns.netns.enter(() => openSocket(NETLINK_NETFILTER)),
      rival,
    ),
  )
  ns.run('nft', 'add table inet podwire; add chain inet podwire a')
  t.equal((await nft.listRules(podwireTable)).length, 0)
  t.equal(generations, 2)
  t.equal((await nft.listRules(podwireTable)).length, 1)
})

test('kernel keeps ranges apart that touch', async (t) => {
  const { nft, dump } = open(t)
  const subnets: NftSet = { table, name: 'subnets', type: ['ipv4_addr'], flags: ['interval'] }
  const elements = [
    { key: ['10.1.0.0/24'], comment: 'a' },
    { key: ['10.1.1.0/24'], comment: 'b' },
    { key: ['10.2.0.0-10.2.0.9'] },
    { key: ['255.0.0.0/8'] },
  ]
  await nft.apply([
    { verb: 'add', table },
    { verb: 'add', set: subnets },
    { verb: 'add', elementsOf: subnets, elements },
  ])
  t.same(await nft.listElements(subnets), elements)
  t.match(
    dump(),
    /elements = \{ 10\.1\.0\.0\/24 comment "a", 10\.1\.1\.0\/24 comment "b",\n\t+ +10\.2\.0\.0-10\.2\.0\.9, 255\.0\.0\.0\/8 \}/,
  )
  t.same(await nft.findElement(subnets, ['10.1.1.0/24']), elements[1])
  await nft.apply([{ verb: 'delete', elementsOf: subnets, elements: elements.slice(1) }])
  t.same(await nft.listElements(subnets), elements.slice(0, 1))
})
