// A node that got its default route from a router: the advertisement is a real one.

import { test } from 'tap'
import { ProcSysctl } from '../sysctl/sysctl.ts'
import { makeNamespace, type TestNamespace } from '../testing/netns.ts'
import { planForwarding } from './forwarding.ts'

/**
 * A router advertisement (RFC 4861, section 4.2) to all nodes: type 134, hop limit 64, lifetime 1800 s, no options.
 * The kernel writes the checksum; who receives one demands a hop limit of 255.
 */
const ADVERTISE = `
use Socket qw(:all);
socket(my $s, AF_INET6, SOCK_RAW, 58) or die "socket: $!";
setsockopt($s, 41, 18, pack('i', 255)) or die "hop limit: $!";
my $index = $ARGV[0];
my $to = pack('S n N a16 L', AF_INET6, 0, 0, inet_pton(AF_INET6, 'ff02::1'), $index);
send($s, pack('C C n C C n N N', 134, 0, 0, 64, 0, 1800, 0, 0), 0, $to) or die "send: $!";
`

function connect(node: TestNamespace, router: TestNamespace): void {
  router.run('ip', 'link', 'add', 'lan', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', node.name)
  // Link-local addresses are usable at once.
  for (const [ns, link] of [
    [router, 'lan'],
    [node, 'eth0'],
  ] as const) {
    ns.run('sh', '-c', `echo 0 >/proc/sys/net/ipv6/conf/${link}/accept_dad`)
    ns.run('ip', 'link', 'set', link, 'up')
  }
}

async function advertise(node: TestNamespace, router: TestNamespace): Promise<void> {
  const { index } = await router.rtnl.waitForLink('lan', {
    description: 'operstate up',
    deadlineMs: 5000,
    holds: ({ operstate }) => operstate === 'UP',
  })
  const [, own] = /inet6 (fe80::[0-9a-f:]+)/.exec(router.run('ip', '-6', 'addr', 'show', 'dev', 'lan')) ?? []
  // With a deadline, ping goes on until one is answered: link-local addresses are usable when their work has run.
  const ping = () => node.run('ping', '-c', '1', '-w', '5', '-i', '0.2', `${own}%eth0`)
  ping()
  router.run('perl', '-e', ADVERTISE, String(index))
  ping() // what is answered now was asked after the advertisement had been read
}

const defaultRoute = (node: TestNamespace) => node.run('ip', '-6', 'route', 'show', 'default').trim()

function makeNode(t: Parameters<typeof makeNamespace>[0]) {
  const [node, router] = [makeNamespace(t, 'node'), makeNamespace(t, 'router')]
  const sysctl = new ProcSysctl(node.netns)
  // A new namespace begins with the machine's settings.
  sysctl.set({ key: 'ipv4/ip_forward', value: '0' }, { key: 'ipv6/conf/all/forwarding', value: '0' })
  connect(node, router)
  return { node, router, sysctl, families: new Set([4, 6] as const) }
}

test('a node keeps the default route it was advertised when forwarding is switched on', async (t) => {
  const { node, router, sysctl, families } = makeNode(t)
  await advertise(node, router)
  t.match(defaultRoute(node), /^default via fe80::\S+ dev eth0 proto ra .* expires/)
  const plan = await planForwarding({ rtnl: node.rtnl, sysctl }, families)
  t.strictSame(plan, [
    { key: 'ipv6/conf/eth0/accept_ra', value: '2' },
    { key: 'ipv4/ip_forward', value: '1' },
    { key: 'ipv6/conf/all/forwarding', value: '1' },
  ])
  sysctl.set(...plan)
  t.match(defaultRoute(node), /^default via fe80::\S+ dev eth0 proto ra/)
  node.run('ip', '-6', 'route', 'del', 'default')
  await advertise(node, router)
  t.match(defaultRoute(node), /^default via fe80::\S+ dev eth0 proto ra/, 'and hears later ones')
  t.strictSame(await planForwarding({ rtnl: node.rtnl, sysctl }, families), [], 'nothing is left to do')
})

test('a node would lose that route without', async (t) => {
  const { node, router, sysctl } = makeNode(t)
  await advertise(node, router)
  t.match(defaultRoute(node), /proto ra/)
  sysctl.set({ key: 'ipv6/conf/all/forwarding', value: '1' })
  t.equal(defaultRoute(node), '', 'the kernel still does what the head of forwarding.ts says')
})

test('links are left alone when their default route is nobody’s advertisement', async (t) => {
  const { node, sysctl, families } = makeNode(t)
  node.run('ip', '-6', 'route', 'add', 'default', 'via', 'fe80::1', 'dev', 'eth0')
  node.run('ip', '-6', 'route', 'add', '2001:db8::/32', 'via', 'fe80::1', 'dev', 'eth0', 'proto', 'ra')
  const keys = async (...wanted: (4 | 6)[]) =>
    (await planForwarding({ rtnl: node.rtnl, sysctl }, new Set(wanted))).map(({ key }) => key)
  t.strictSame(await keys(...families), ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'])
  node.run('ip', '-6', 'route', 'replace', 'default', 'via', 'fe80::1', 'dev', 'eth0', 'proto', 'ra')
  t.strictSame(await keys(6), ['ipv6/conf/eth0/accept_ra', 'ipv6/conf/all/forwarding'])
  t.strictSame(await keys(4), ['ipv4/ip_forward'], 'nor for IPv4')
  sysctl.set({ key: 'ipv6/conf/eth0/accept_ra', value: '0' })
  t.strictSame(await keys(6), ['ipv6/conf/all/forwarding'], 'nor where advertisements are not taken')
})
