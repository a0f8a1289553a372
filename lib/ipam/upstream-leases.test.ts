import { test } from 'tap'
import { upstreamLeasesContract } from './upstream-leases.contract.ts'
import { formatHolder, isLastReserved, parseHolder, readFile } from './upstream-leases.ts'
import { MemoryUpstreamLeases } from './upstream-leases-memory.ts'

upstreamLeasesContract('MemoryUpstreamLeases', () => {
  const upstream = new MemoryUpstreamLeases()
  return {
    upstream,
    write: (network, name, content) => upstream.write(network, { name, content, modifiedAtMs: 1 }),
    note: (network) => upstream.note(network),
  }
})

test('parseHolder reads what upstream writes, and formatHolder writes it', async (t) => {
  for (const [content, containerId, ifname] of [
    ['c1\r\neth0', 'c1', 'eth0'],
    ['4b6f.x_y-z\r\nnet1', '4b6f.x_y-z', 'net1'],
    ['c1', 'c1', ''],
  ] as const) {
    t.same(parseHolder(content), { containerId, ifname }, JSON.stringify(content))
    t.equal(formatHolder({ containerId, ifname }), content)
  }
  t.same(parseHolder(' c1\r\neth0\n'), { containerId: 'c1', ifname: 'eth0' }, 'space around it')
})

test('parseHolder refuses what no upstream writes', async (t) => {
  for (const content of [
    '',
    ' \n',
    '\0\0\0\0',
    'c1\r\neth0\r\nmore',
    'c 1\r\neth0',
    'c1\neth0',
    'c1\r\na b',
    '-c',
  ]) {
    t.equal(parseHolder(content), undefined, JSON.stringify(content))
  }
})

test('readFile tells live leases from what a crash or an earlier boot left', async (t) => {
  const bootedAtMs = 1_000_000_000
  const file = { name: '10.1.0.2', content: 'c1\r\neth0', modifiedAtMs: bootedAtMs + 5.25 }
  const why = (changes: Partial<typeof file>) => {
    const read = readFile({ ...file, ...changes }, bootedAtMs)
    return 'why' in read ? `${read.name}: ${read.why}` : `${read.address} ${read.containerId}/${read.ifname}`
  }
  for (const [changes, expected] of [
    [{}, '10.1.0.2 c1/eth0'],
    [{ name: 'fd00::2', content: 'c1' }, 'fd00::2 c1/'],
    [{ content: '' }, '10.1.0.2: empty'],
    [{ content: '\0\0' }, '10.1.0.2: names no container'],
    [{ name: 'notes.txt' }, 'notes.txt: its name is no address'],
    [{ modifiedAtMs: bootedAtMs - 60_001 }, '10.1.0.2: older than this boot'],
    [{ modifiedAtMs: bootedAtMs - 59_000 }, '10.1.0.2 c1/eth0'],
  ] as const) {
    t.equal(why(changes), expected)
  }
  t.match(readFile(file, bootedAtMs), { acquiredAtMs: 1_000_000_005 })
})

test('isLastReserved knows upstream’s own files', async (t) => {
  const names = ['last_reserved_ip.0', 'last_reserved_ip.12', 'last_reserved_ip', '10.1.0.2', 'lock2']
  t.same(
    names.filter((name) => isLastReserved({ name, content: '', modifiedAtMs: 0 })),
    ['last_reserved_ip.0', 'last_reserved_ip.12'],
  )
})
