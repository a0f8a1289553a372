// CHECK: right after ADD all is well; then each thing that ADD made is changed in turn, and CHECK must say so.

import type { Case } from '../harness/case.ts'
import type { Config } from '../harness/plugin.ts'
import { attach } from './attach.ts'

/** Shell commands. `node` and `pod` say where they run; `$host` is the wire's end on the node. */
interface Drift {
  readonly node?: string
  readonly pod?: string
  /** Only ours makes it. */
  readonly oursOnly?: string
}

const DRIFTS: Readonly<Record<string, Drift>> = {
  'the pod has lost its IPv4 address': { pod: 'ip addr del 10.1.0.3/24 dev eth0' },
  'the pod has lost its IPv6 address': { pod: 'ip addr del fd00:1::3/64 dev eth0' },
  'the address has another prefix length': {
    pod: 'ip addr del 10.1.0.3/24 dev eth0; ip addr add 10.1.0.3/16 dev eth0; ip route add default via 10.1.0.1',
  },
  'the pod has lost its default route': { pod: 'ip route del default' },
  'the pod has lost its IPv6 default route': { pod: 'ip -6 route del default' },
  'the default route goes elsewhere': { pod: 'ip route replace default via 10.1.0.77' },
  'the pod’s interface is down': { pod: 'ip link set eth0 down' },
  'the pod’s interface has another MAC': { pod: 'ip link set eth0 address 02:00:00:00:00:09' },
  'the pod’s interface has another mtu': { pod: 'ip link set eth0 mtu 1400' },
  'the pod’s interface has another name': {
    pod: 'ip link set eth0 down; ip link set eth0 name eth9; ip link set eth9 up',
  },
  'the pod’s interface is of another kind': { pod: 'ip link del eth0; ip link add eth0 up type bridge' },
  'the pod’s lo is down': { pod: 'ip link set lo down' },
  'the node’s end is down': { node: 'ip link set $host down' },
  'the node’s end has another MAC': { node: 'ip link set $host address 02:00:00:00:00:09' },
  'the node’s end has another mtu': { node: 'ip link set $host mtu 1400' },
  'the node’s end is in no bridge': { node: 'ip link set $host nomaster' },
  'the node’s end is in another bridge': {
    node: 'ip link add br9 up type bridge; ip link set $host master br9',
  },
  'the port’s hairpin mode is off': { node: 'bridge link set dev $host hairpin off' },
  'the port is isolated': { node: 'bridge link set dev $host isolated on' },
  'the wire is gone': { node: 'ip link del $host' },
  'the bridge is gone': { node: 'ip link del cni0' },
  'the bridge is down': { node: 'ip link set cni0 down' },
  'the bridge has another MAC': { node: 'ip link set cni0 address 02:00:00:00:00:09' },
  'the bridge is promiscuous': { node: 'ip link set cni0 promisc on' },
  'the bridge is of another kind': {
    node: 'ip link del cni0; ip link add cni0 up type veth peer name other',
  },
  'the bridge has lost the gateway’s address': { node: 'ip addr del 10.1.0.1/24 dev cni0' },
  'the bridge has lost the gateway’s IPv6 address': { node: 'ip addr del fd00:1::1/64 dev cni0' },
  'forwarding is off': { node: 'echo 0 >/proc/sys/net/ipv4/ip_forward' },
  'IPv6 forwarding is off': { node: 'echo 0 >/proc/sys/net/ipv6/conf/all/forwarding' },
  'the firewall was flushed': { node: 'nft flush ruleset' },
  'the pod’s masquerade element is gone': {
    node: `nft 'delete element inet podwire masquerade_ipv4 { 10.1.0.3 }'`,
    oursOnly: 'upstream has a chain per pod',
  },
  'the masquerade chain is empty': {
    node: `nft 'flush chain inet podwire postrouting'`,
    oursOnly: 'upstream has a chain per pod',
  },
}

const driftCases = Object.entries(DRIFTS).map(
  ([title, { node, pod: inside, oursOnly }]): Case => ({
    title: `CHECK fails when ${title}`,
    ...(oursOnly === undefined ? {} : { oursOnly }),
    async play(stage) {
      const { pod, withResult, host } = await attach(stage)
      if (inside !== undefined) await stage.sh(inside, pod)
      if (node !== undefined) await stage.sh(`host=${host}; ${node}`)
      await stage.watch()
      const { status } = await stage.call('CHECK', pod, withResult)
      stage.require(status === 1, 'CHECK fails')
      await stage.look() // it changes nothing
      await stage.del(pod, withResult)
    },
  }),
)

type Edit = (result: Config) => Config

/** What the runtime remembers, or passes, that is not so. */
const edits: Readonly<Record<string, Edit>> = {
  'there is no prevResult': () => ({ prevResult: undefined }),
  'prevResult cannot be read': () => ({ prevResult: { cniVersion: '1.0.0', ips: 'many' } }),
  'prevResult is of an unknown version': (result) => ({ prevResult: { ...result, cniVersion: '9.9.9' } }),
  'prevResult has another sandbox': (result) => ({
    prevResult: {
      ...result,
      interfaces: (result['interfaces'] as object[]).map((one) =>
        'sandbox' in one ? { ...one, sandbox: '/x' } : one,
      ),
    },
  }),
  'prevResult has another address': (result) => ({
    prevResult: { ...result, ips: [{ address: '10.1.0.99/24', gateway: '10.1.0.1', interface: 2 }] },
  }),
  'prevResult has no interfaces': (result) => ({ prevResult: { ...result, interfaces: [] } }),
  'the config has cniVersion 0.3.1': () => ({ cniVersion: '0.3.1' }),
}

const editCases = Object.entries(edits).map(
  ([title, edit]): Case => ({
    title: `CHECK fails when ${title}`,
    async play(stage) {
      const { pod, config, withResult } = await attach(stage)
      const { status } = await stage.call('CHECK', pod, {
        ...withResult,
        ...edit(withResult['prevResult'] as Config),
      })
      stage.require(status === 1, 'CHECK fails')
      await stage.del(pod, config)
    },
  }),
)

const healthy = ['0.4.0', '1.0.0', '1.1.0'].map(
  (cniVersion): Case => ({
    title: `CHECK is content right after ADD when cniVersion is ${cniVersion}`,
    ...(cniVersion === '1.1.0' ? { oursOnly: 'upstream 1.1.1 knows no 1.1.0' } : {}),
    async play(stage) {
      const { pod, withResult } = await attach(stage, { cniVersion })
      await stage.watch()
      const { status } = await stage.call('CHECK', pod, withResult)
      stage.require(status === 0, 'CHECK is content')
      await stage.look()
      await stage.del(pod, withResult)
    },
  }),
)

const leaseCases: readonly Case[] = [
  {
    title: 'CHECK fails when the lease is gone',
    async play(stage) {
      const { pod, config, withResult } = await attach(stage)
      await stage.del(pod, config, { type: stage.node.contestant.hostLocal, as: 'DEL of the IPAM plugin' })
      const { status } = await stage.call('CHECK', pod, withResult)
      stage.require(status === 1, 'CHECK fails')
      await stage.del(pod, config)
    },
  },
]

export const checkCases: readonly Case[] = [...healthy, ...driftCases, ...editCases, ...leaseCases]
