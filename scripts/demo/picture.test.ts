import { test } from 'tap'

import type { HostView, NodeView } from './observe.ts'
import { drawLeases, drawPicture } from './picture.ts'

const outside: HostView = {
  name: 'outside',
  link: { name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1500, addresses: ['203.0.113.99/24'] },
  routes: ['203.0.113.0/24 dev eth0'],
}

const web: HostView = {
  name: 'web',
  link: {
    name: 'eth0',
    mac: '0a:58:0a:f4:01:02',
    mtu: 1500,
    addresses: ['10.244.1.2/24', 'fd00:10:1::2/64'],
  },
  routes: ['default via 10.244.1.1'],
}

const node: NodeView = {
  uplink: { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1500, addresses: ['203.0.113.10/24'] },
  forwarding: { v4: true, v6: false },
  routes: ['default via 203.0.113.99', '10.244.1.0/24 dev cni0'],
  masquerade: ['10.244.1.2', 'fd00:10:1::2', 'fd00:10:1::3', 'fd00:10:1::4'],
  bridges: [
    {
      name: 'cni0',
      mac: '02:00:00:00:00:03',
      mtu: 1500,
      addresses: ['10.244.1.1/24'],
      ports: [
        { name: 'veth00000001', mac: '02:00:00:00:00:04', pod: web },
        { name: 'veth00000002', mac: '02:00:00:00:00:05', pod: undefined },
      ],
    },
  ],
}

test('picture shows each wire from the bridge to its pod', (t) => {
  t.equal(
    drawPicture(outside, node).join('\n'),
    `\
  ┌ outside ───────────────────┐
  │ eth0  203.0.113.99/24      │  routes      203.0.113.0/24 dev eth0
  └──────────────┬─────────────┘
┌ node ──────────┼───────────────────────────────────────────────────────────────────────────────┐
│ ┌ eth0 ────────┴─────────────┐  forwarding  IPv4 on, IPv6 off                                  │
│ │ 203.0.113.10/24            │  routes      10.244.1.0/24 dev cni0                             │
│ └────────────────────────────┘  masquerade  10.244.1.2, fd00:10:1::2, fd00:10:1::3,            │
│                                             fd00:10:1::4                                       │
│ ┌ cni0, a bridge ────────────────────────────────────────────┐                                 │
│ │ 02:00:00:00:00:03 mtu 1500                                 │                                 │
│ │ 10.244.1.1/24                                              │                                 │
│ │ veth00000001                    veth00000002               │                                 │
│ │ 02:00:00:00:00:04               02:00:00:00:00:05          │                                 │
│ └──────────────┬───────────────────────────────┬─────────────┘                                 │
└────────────────┼───────────────────────────────┼───────────────────────────────────────────────┘
  ┌ pod web ─────┴─────────────┐  ┌ pod ? ───────┴─────────────┐
  │ eth0  0a:58:0a:f4:01:02    │  └────────────────────────────┘
  │       10.244.1.2/24        │
  │       fd00:10:1::2/64      │
  │ default via 10.244.1.1     │
  └────────────────────────────┘`,
  )
  t.end()
})

test('leases are told by pod, interface and network', (t) => {
  t.same(
    drawLeases([
      { pod: 'demo/web', ifname: 'eth0', network: 'shop', addresses: ['10.244.1.2', 'fd00:10:1::2'] },
      { pod: 'demo-db', ifname: 'net1', network: 'bank', addresses: [] },
    ]),
    ['demo/web   eth0  shop   10.244.1.2  fd00:10:1::2', 'demo-db    net1  bank'],
  )
  t.end()
})
