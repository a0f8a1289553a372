import { test } from 'tap'
import { IpAddress } from '../ip/address.ts'
import type { MacAddress } from '../ip/mac.ts'
import { Prefix } from '../ip/prefix.ts'
import { formatMessage } from '../netlink/describe.ts'
import { readPayload } from '../netlink/request.ts'
import { toRequest } from './change-request.ts'
import type { IfIndex, LinkSettings } from './link.ts'
import type { Change } from './rtnl.ts'

/** Captured: strace -e trace=sendmsg -e write=3 ip …, iproute2 6.1.0, without the netlink header. */
interface Golden {
  readonly ip: string
  readonly change: Change
  readonly kind: string
  /** Of the request, REQUEST and ACK left out. */
  readonly flags?: string
  readonly hex: string
  /** We say the same in other words: in another order, or with NLA_F_NESTED, which iproute2 leaves out. */
  readonly otherBytes?: true
  /** Header fields in which we differ, with ours. */
  readonly ours?: Readonly<Record<string, number>>
}

const br0 = 2 as IfIndex
const veth2 = 5 as IfIndex
const veth9 = 6 as IfIndex
const mac = (last: number) => `02:00:00:00:00:0${last}` as MacAddress
const prefix = (text: string) => Prefix.parse(text)
const gateway = (text: string) => IpAddress.parse(text)
const route = (dst: string) => ({ dst: prefix(dst), dev: veth9 })

const GOLDENS: readonly Golden[] = [
  {
    ip: 'ip link add name br0 address 02:00:00:00:00:01 mtu 1450 type bridge',
    change: { change: 'create link', link: { kind: 'bridge', name: 'br0', mac: mac(1), mtu: 1450 } },
    kind: 'RTM_NEWLINK',
    flags: '600',
    hex: `
      00000000 00000000 00000000 00000000 0a000100 02000000 00010000 08000400 aa050000 08000300 
      62723000 10001200 0a000100 62726964 67650000
    `,
    otherBytes: true,
  },
  {
    ip: 'ip link add name vlan0 type bridge vlan_filtering 1',
    change: { change: 'create link', link: { kind: 'bridge', name: 'vlan0', vlanFiltering: true } },
    kind: 'RTM_NEWLINK',
    flags: '600',
    hex: `
      00000000 00000000 00000000 00000000 0a000300 766c616e 30000000 1c001200 0a000100 62726964 
      67650000 0c000200 05000700 01000000
    `,
    otherBytes: true,
  },
  {
    ip: 'ip link add name veth0 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1',
    change: {
      change: 'create link',
      link: { kind: 'veth', name: 'veth0', queues: 1, peer: { name: 'eth0', queues: 1 } },
    },
    kind: 'RTM_NEWLINK',
    flags: '600',
    hex: `
      00000000 00000000 00000000 00000000 08001f00 01000000 08002000 01000000 0a000300 76657468
      30000000 40001200 08000100 76657468 34000200 30000100 00000000 00000000 00000000 00000000
      08001f00 01000000 08002000 01000000 09000300 65746830 00000000
    `,
    otherBytes: true,
  },
  {
    ip: 'ip link add name veth0 mtu 1450 address 02:00:00:00:00:02 master br0 up type veth peer name eth0 mtu 1450 address 02:00:00:00:00:03 netns pod',
    change: {
      change: 'create link',
      link: {
        kind: 'veth',
        name: 'veth0',
        mtu: 1450,
        mac: mac(2),
        master: br0,
        up: true,
        peer: { name: 'eth0', mtu: 1450, mac: mac(3), netnsFd: 4 },
      },
    },
    kind: 'RTM_NEWLINK',
    flags: '600',
    hex: `
      00000000 00000000 01000000 01000000 08000400 aa050000 0a000100 02000000 00020000 08000a00 
      02000000 0a000300 76657468 30000000 4c001200 08000100 76657468 40000200 3c000100 00000000 
      00000000 00000000 00000000 08000400 aa050000 0a000100 02000000 00030000 08001c00 04000000 
      09000300 65746830 00000000
    `,
    otherBytes: true,
    ours: { ifi_change: 1 },
  },
  {
    ip: 'ip link add name veth1 type veth peer name veth2',
    change: { change: 'create link', link: { kind: 'veth', name: 'veth1', peer: { name: 'veth2' } } },
    kind: 'RTM_NEWLINK',
    flags: '600',
    hex: `
      00000000 00000000 00000000 00000000 0a000300 76657468 31000000 30001200 08000100 76657468 
      24000200 20000100 00000000 00000000 00000000 00000000 0a000300 76657468 32000000
    `,
    otherBytes: true,
  },
  {
    ip: 'ip link set dev veth1 name veth9 mtu 1400 address 02:00:00:00:00:09 alias podwire',
    change: {
      change: 'set link',
      link: veth9,
      set: { name: 'veth9', mtu: 1400, mac: mac(9), alias: 'podwire' },
    },
    kind: 'RTM_SETLINK',
    hex: `
      00000000 06000000 00000000 00000000 08000400 78050000 0a000100 02000000 00090000 0b001400 
      706f6477 69726500 0a000300 76657468 39000000
    `,
    otherBytes: true,
  },
  {
    ip: 'ip link set dev veth9 promisc on',
    change: { change: 'set link', link: veth9, set: { promisc: true } },
    kind: 'RTM_SETLINK',
    hex: `00000000 06000000 00010000 00010000`,
  },
  {
    ip: 'ip link set dev veth9 master br0',
    change: { change: 'set link', link: veth9, set: { master: br0 } },
    kind: 'RTM_SETLINK',
    hex: `00000000 06000000 00000000 00000000 08000a00 02000000`,
  },
  {
    ip: 'ip link set dev veth9 nomaster',
    change: { change: 'set link', link: veth9, set: { master: 0 } },
    kind: 'RTM_SETLINK',
    hex: `00000000 06000000 00000000 00000000 08000a00 00000000`,
  },
  {
    ip: 'ip link set dev veth2 up',
    change: { change: 'set link', link: veth2, set: { up: true } },
    kind: 'RTM_SETLINK',
    hex: `00000000 05000000 01000000 01000000`,
  },
  {
    ip: 'ip link set dev br0 down',
    change: { change: 'set link', link: br0, set: { up: false } },
    kind: 'RTM_SETLINK',
    hex: `00000000 02000000 00000000 01000000`,
  },
  {
    ip: 'ip addr add 10.1.0.1/24 brd + dev br0',
    change: { change: 'add address', address: { dev: br0, prefix: prefix('10.1.0.1/24') } },
    kind: 'RTM_NEWADDR',
    flags: '600',
    hex: `02180000 02000000 08000200 0a010001 08000100 0a010001 08000400 0a0100ff`,
  },
  {
    ip: 'ip addr add 10.2.0.1/32 dev br0',
    change: { change: 'add address', address: { dev: br0, prefix: prefix('10.2.0.1/32') } },
    kind: 'RTM_NEWADDR',
    flags: '600',
    hex: `02200000 02000000 08000200 0a020001 08000100 0a020001`,
  },
  {
    ip: 'ip addr add fd00::1/64 dev veth9 nodad',
    change: { change: 'add address', address: { dev: veth9, prefix: prefix('fd00::1/64'), noDad: true } },
    kind: 'RTM_NEWADDR',
    flags: '600',
    hex: `
      0a400200 06000000 14000200 fd000000 00000000 00000000 00000001 14000100 fd000000 00000000 
      00000000 00000001
    `,
  },
  {
    ip: 'ip addr add fd01::1/64 dev veth9',
    change: { change: 'add address', address: { dev: veth9, prefix: prefix('fd01::1/64') } },
    kind: 'RTM_NEWADDR',
    flags: '600',
    hex: `
      0a400000 06000000 14000200 fd010000 00000000 00000000 00000001 14000100 fd010000 00000000 
      00000000 00000001
    `,
  },
  {
    ip: 'ip addr del 10.2.0.1/32 dev br0',
    change: { change: 'delete address', address: { dev: br0, prefix: prefix('10.2.0.1/32') } },
    kind: 'RTM_DELADDR',
    hex: `02200000 02000000 08000200 0a020001 08000100 0a020001`,
  },
  {
    ip: 'ip addr del fd01::1/64 dev veth9',
    change: { change: 'delete address', address: { dev: veth9, prefix: prefix('fd01::1/64') } },
    kind: 'RTM_DELADDR',
    hex: `
      0a400000 06000000 14000200 fd010000 00000000 00000000 00000001 14000100 fd010000 00000000 
      00000000 00000001
    `,
  },
  {
    ip: 'ip route prepend default via 10.3.0.9',
    change: { change: 'add route', route: { dst: prefix('0.0.0.0/0'), gateway: gateway('10.3.0.9') } },
    kind: 'RTM_NEWROUTE',
    flags: '400',
    hex: `02000000 fe030001 00000000 08000500 0a030009`,
  },
  {
    ip: 'ip route prepend 10.4.0.0/16 dev veth9 scope link',
    change: { change: 'add route', route: route('10.4.0.0/16') },
    kind: 'RTM_NEWROUTE',
    flags: '400',
    hex: `02100000 fe03fd01 00000000 08000100 0a040000 08000400 06000000`,
  },
  {
    ip: 'ip route prepend 10.5.0.0/16 via 10.3.0.9 dev veth9 metric 7 mtu 1400 advmss 1360',
    change: {
      change: 'add route',
      route: { ...route('10.5.0.0/16'), gateway: gateway('10.3.0.9'), priority: 7, mtu: 1400, advmss: 1360 },
    },
    kind: 'RTM_NEWROUTE',
    flags: '400',
    hex: `
      02100000 fe030001 00000000 08000100 0a050000 08000500 0a030009 08000600 07000000 08000400 
      06000000 14000800 08000200 78050000 08000800 50050000
    `,
    otherBytes: true,
  },
  {
    ip: 'ip route prepend 10.6.0.0/16 dev veth9 src 10.3.0.1 table 1000 scope link',
    change: {
      change: 'add route',
      route: { ...route('10.6.0.0/16'), source: gateway('10.3.0.1'), table: 1000 },
    },
    kind: 'RTM_NEWROUTE',
    flags: '400',
    hex: `
      02100000 0003fd01 00000000 08000100 0a060000 08000700 0a030001 08000f00 e8030000 08000400 
      06000000
    `,
  },
  {
    ip: 'ip route prepend 10.7.0.0/16 via 10.99.0.9 dev veth9 onlink',
    change: {
      change: 'add route',
      route: { ...route('10.7.0.0/16'), gateway: gateway('10.99.0.9'), onLink: true },
    },
    kind: 'RTM_NEWROUTE',
    flags: '400',
    hex: `
      02100000 fe030001 04000000 08000100 0a070000 08000500 0a630009 08000400 06000000
    `,
  },
  {
    ip: 'ip route prepend fd05::/64 via fd00::9 dev veth9',
    change: { change: 'add route', route: { ...route('fd05::/64'), gateway: gateway('fd00::9') } },
    kind: 'RTM_NEWROUTE',
    flags: '400',
    hex: `
      0a400000 fe030001 00000000 14000100 fd050000 00000000 00000000 00000000 14000500 fd000000 
      00000000 00000000 00000009 08000400 06000000
    `,
  },
  {
    ip: 'ip route prepend fd06::/64 dev veth9 metric 5 table 100',
    change: { change: 'add route', route: { ...route('fd06::/64'), priority: 5, table: 100 } },
    kind: 'RTM_NEWROUTE',
    flags: '400',
    hex: `
      0a400000 64030001 00000000 14000100 fd060000 00000000 00000000 00000000 08000600 05000000 
      08000400 06000000
    `,
  },
  {
    ip: 'ip route del 10.4.0.0/16 dev veth9',
    change: { change: 'delete route', route: route('10.4.0.0/16') },
    kind: 'RTM_DELROUTE',
    hex: `02100000 fe00ff00 00000000 08000100 0a040000 08000400 06000000`,
    ours: { rtm_type: 1 },
  },
  {
    ip: 'ip route del default via 10.3.0.9',
    change: { change: 'delete route', route: { dst: prefix('0.0.0.0/0'), gateway: gateway('10.3.0.9') } },
    kind: 'RTM_DELROUTE',
    hex: `02000000 fe00ff00 00000000 08000500 0a030009`,
    ours: { rtm_type: 1 },
  },
  {
    ip: 'ip route del fd05::/64 via fd00::9 dev veth9',
    change: { change: 'delete route', route: { ...route('fd05::/64'), gateway: gateway('fd00::9') } },
    kind: 'RTM_DELROUTE',
    hex: `
      0a400000 fe000000 00000000 14000100 fd050000 00000000 00000000 00000000 14000500 fd000000 
      00000000 00000000 00000009 08000400 06000000
    `,
    ours: { rtm_type: 1 },
  },
  {
    ip: 'ip link del dev veth9',
    change: { change: 'delete link', link: veth9 },
    kind: 'RTM_DELLINK',
    hex: `00000000 06000000 00000000 00000000`,
  },
  {
    ip: 'bridge vlan add dev veth9 vid 100 pvid untagged',
    change: {
      change: 'add bridge vlan',
      link: veth9,
      vlan: { vid: 100, pvid: true, untagged: true },
    },
    kind: 'RTM_SETLINK',
    hex: `07000000 06000000 00000000 00000000 0c001a00 08000200 06006400`,
    otherBytes: true,
  },
  {
    ip: 'bridge vlan add dev veth9 vid 200-210',
    change: { change: 'add bridge vlan', link: veth9, vlan: { vid: 200, vidEnd: 210 } },
    kind: 'RTM_SETLINK',
    hex: `07000000 06000000 00000000 00000000 14001a00 08000200 0800c800 08000200 1000d200`,
    otherBytes: true,
  },
  {
    ip: 'bridge vlan add dev br0 vid 5 self',
    change: { change: 'add bridge vlan', link: br0, vlan: { vid: 5, self: true } },
    kind: 'RTM_SETLINK',
    hex: `07000000 02000000 00000000 00000000 14001a00 06000000 02000000 08000200 00000500`,
    otherBytes: true,
  },
  {
    ip: 'bridge vlan del dev veth9 vid 1',
    change: { change: 'delete bridge vlan', link: veth9, vlan: { vid: 1 } },
    kind: 'RTM_DELLINK',
    hex: `07000000 06000000 00000000 00000000 0c001a00 08000200 00000100`,
    otherBytes: true,
  },
]

test('requests say to the kernel what ip says', async (t) => {
  for (const golden of GOLDENS) {
    const request = toRequest(golden.change)
    const theirs = readPayload(request.kind, unhex(golden.hex))
    const ours = readPayload(request.kind, request.payload)
    t.equal(request.kind.name, golden.kind, `kind: ${golden.ip}`)
    t.equal(request.flags.toString(16), golden.flags ?? '0', `flags: ${golden.ip}`)
    t.strictSame(ours.header, { ...theirs.header, ...golden.ours }, `header: ${golden.ip}`)
    t.same(sorted(ours.attributes), sorted(theirs.attributes), `attributes: ${golden.ip}`)
    t.notOk('unknown' in theirs.attributes, `all of it is known: ${golden.ip}`)
    const same = Buffer.from(request.payload).equals(unhex(golden.hex))
    t.equal(same, golden.otherBytes === undefined && golden.ours === undefined, `bytes: ${golden.ip}`)
  }
})

test('a request prints as the ip command that does the same', async (t) => {
  for (const { change, ip } of GOLDENS) t.equal(toRequest(change).operation.split(' ')[1], ip.split(' ')[1])
})

test('a bridge port is set in the form in which the kernel reports it', async (t) => {
  // ip link set dev veth9 type bridge_slave hairpin on isolated on
  const theirs = '00000000 06000000 00000000 00000000 28001200 10000100 62726964 67655f73 6c617665' // IFLA_INFO_KIND
  const data = '14000500 05000400 01000000 05002100 01000000' // IFLA_INFO_SLAVE_DATA
  const request = toRequest({ change: 'set link', link: veth9, set: { hairpin: true, isolated: true } })
  const ours = '00000000 06000000 00000000 00000000 24001280 0b000400 62726964 67650000' // IFLA_INFO_SLAVE_KIND
  t.equal(request.kind.name, 'RTM_NEWLINK', 'RTM_SETLINK does not look at IFLA_LINKINFO')
  t.equal(
    Buffer.from(request.payload).toString('hex'),
    `${ours}${data.replace('0500', '0580')}`.replaceAll(' ', ''),
  )
  const named = readPayload(request.kind, unhex(`${theirs}${data}`)).attributes as {
    IFLA_LINKINFO: { IFLA_INFO_KIND: string }
  }
  t.equal(
    named.IFLA_LINKINFO.IFLA_INFO_KIND,
    'bridge_slave',
    'iproute2 puts the kind where that of the link belongs',
  )
})

test('a link is not renamed by its name, which would look for the new one', async (t) => {
  const change: Change = { change: 'set link', link: 'veth1', set: { name: 'veth9' } }
  t.throws(() => toRequest(change), {
    name: 'RangeError',
    message: 'ip link set dev veth1 name veth9: rename by index',
  })
})

test('a link learns to announce its addresses before it comes up', async (t) => {
  const change = (set: LinkSettings): Change => ({ change: 'set link', link: 'eth0', set })
  const { kind, payload, operation } = toRequest(change({ arpNotify: true }))
  t.equal(operation, 'sysctl -w net/ipv4/conf/eth0/arp_notify=1')
  t.match(
    formatMessage(kind, 0, payload),
    'IFLA_AF_SPEC { AF_INET { IFLA_INET_CONF { IPV4_DEVCONF_ARP_NOTIFY 1 } } }',
  )
  for (const more of [{ up: true }, { hairpin: true }] as const)
    t.throws(() => toRequest(change({ arpNotify: true, ...more })), { name: 'RangeError' })
})

/** Byte arrays as text, so that a difference can be read. */
function sorted(values: object): unknown {
  return JSON.parse(
    JSON.stringify(values, (_, value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
    ),
  )
}

function unhex(rows: string): Buffer {
  return Buffer.from(rows.replaceAll(/\s/g, ''), 'hex')
}
