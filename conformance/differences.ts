// Where ours differs from upstream's 1.1.1 (Debian's containernetworking-plugins), and why that is right. A line of
// an outcome that only one of the two has must be allowed here; a row that allows nothing fails.

import { BANDWIDTH } from './differences-bandwidth.ts'
import { CHAIN } from './differences-chain.ts'

export interface Difference {
  /** Titles of cases; `*` stands for any text. */
  readonly cases: string | readonly string[]
  /** Names of observations in the outcome. */
  readonly aspect: string | readonly string[]
  /** Lines that only upstream's outcome has. */
  readonly upstream?: string | readonly string[]
  /** Lines that only ours has. */
  readonly ours?: string | readonly string[]
  readonly reason: string
  /** Upstream does not do it each time. */
  readonly sometimes?: true
}

const ANY = '*'
const WORLD = ['node*', 'pod*', 'left at the end']

/** What holds whatever is asked for. */
const EVERYWHERE: readonly Difference[] = [
  {
    cases: ANY,
    aspect: ANY,
    ours: 'cniVersion *',
    reason: 'the spec lists cniVersion in the error object; upstream leaves it out',
  },
  {
    cases: ANY,
    aspect: ANY,
    ours: 'details *',
    reason: 'what can be done about an error is said in its details; upstream leaves them empty',
  },
  {
    cases: ANY,
    aspect: 'ADD *',
    upstream: 'dns {}',
    reason: 'since 1.0.0 an empty dns is left out, as newer upstream does',
  },
  {
    cases: ANY,
    aspect: WORLD,
    upstream: [
      '*link veth* mac_is random*',
      '*link <veth *> * mac_is random*',
      '*link eth* mac_is random*',
      '*link net1 * mac_is random*',
    ],
    ours: ['*link <veth *> * mac_is set*', '*link eth* mac_is set*', '*link net1 * mac_is set*'],
    reason: 'both ends get their MACs when they are made: udev and others leave a MAC alone that was set',
  },
  {
    cases: ANY,
    aspect: WORLD,
    upstream: '*link cni0 * mac_is random*',
    ours: '*link cni0 * mac_is set*',
    reason:
      'the bridge gets its MAC when it is made; upstream’s changes with its ports until it has an address',
  },
  {
    cases: ANY,
    aspect: ['ADD *'],
    upstream: 'interfaces[*].mac *',
    ours: 'interfaces[*].mac *',
    reason:
      'upstream’s bridge has the MAC of a port, ours one of its own: the names that MACs get here shift',
    sometimes: true,
  },
  {
    cases: ANY,
    aspect: WORLD,
    upstream: '*address * *::* scope global',
    ours: '*address * *::* scope global nodad',
    reason: 'addresses are unique by the lease; without duplicate detection they can be used at once',
  },
  {
    cases: ANY,
    aspect: WORLD,
    ours: '*sysctl ipv6/conf/*/keep_addr_on_down 1',
    reason: 'an interface that goes down and up keeps its IPv6 address, as newer upstream does it',
  },
  {
    cases: ANY,
    aspect: WORLD,
    ours: ['*attachment *'],
    reason: 'what was made is recorded, so that DEL needs nothing else',
  },
]

/** Masquerade: upstream asks iptables for a chain per pod, ours keeps elements in one table. */
const MASQUERADE: readonly Difference[] = [
  {
    cases: ANY,
    aspect: WORLD,
    upstream: '* nft table ip* nat*',
    ours: '* nft table inet podwire*',
    reason:
      'masquerade is an element of a map in a table of our own, whatever the number of pods, not a chain per pod',
  },
]

/** Fields that upstream 1.1.1 does not have, and what newer ones do otherwise. */
const FIELDS: readonly Difference[] = [
  {
    cases: 'macspoofchk drops what comes from another MAC',
    aspect: ['node', 'left at the end'],
    upstream: '*nft table bridge nat*',
    ours: '*nft table bridge podwire*',
    reason: 'port and MAC are elements of two sets in a table of our own, not two chains per pod',
  },
  {
    cases: 'portIsolation keeps pods apart, not from the gateway',
    aspect: ['node', 'pod1 reaches'],
    upstream: ['+ port <veth *> state forwarding', 'pod2 true'],
    ours: 'pod2 false',
    reason: 'upstream 1.1.1 does not know portIsolation',
  },
  {
    cases: 'disableContainerInterface leaves the interface of the pod down',
    aspect: 'node',
    upstream: '+ port <veth 1> state forwarding',
    ours: '+ port <veth 1> state disabled',
    reason: 'upstream 1.1.1 does not know disableContainerInterface: its ADD waits for a port that is up',
    sometimes: true,
  },
  {
    cases: 'vlan is refused when the kernel has no VLANs, and nothing is left',
    aspect: 'ADD *',
    upstream: 'msg "failed to create bridge *',
    ours: 'msg "bridge * the kernel lacks CONFIG_BRIDGE_VLAN_FILTERING"',
    reason: 'it is the kernel that has no VLANs, and by this name people can find one that has',
    sometimes: true,
  },
]

const CHECKS: readonly Difference[] = [
  {
    cases: 'CHECK fails when *',
    aspect: 'CHECK *',
    upstream: 'code 999',
    ours: 'code 100',
    reason: 'a code of its own tells a drift from a failure to look',
  },
  {
    cases: 'CHECK fails when *',
    aspect: 'CHECK *',
    upstream: 'msg *',
    ours: 'msg "attachment is not as ADD made it: *',
    reason: 'all differences are named at once, with what was expected',
  },
  {
    cases: [
      'CHECK fails when the default route goes elsewhere',
      'CHECK fails when the pod’s interface has another mtu',
      'CHECK fails when the pod’s lo is down',
      'CHECK fails when the node’s end *',
      'CHECK fails when the port*',
      'CHECK fails when the bridge *',
      'CHECK fails when *orwarding is off',
      'CHECK fails when the firewall was flushed',
    ],
    aspect: 'CHECK *',
    upstream: 'ok',
    ours: 'exit status 1',
    reason:
      'upstream does not compare this: MTU, lo, state and settings of the port, gateway, forwarding, firewall',
  },
  {
    cases: [
      'routes go through the gateway of their family when they name none',
      'a pod lives by what k3s delegates',
    ],
    aspect: 'CHECK *',
    upstream: ['exit status 1', 'code 999', 'msg "Expected Route * not found in routing table"'],
    ours: 'ok',
    reason: 'upstream looks for a route without next hop, which it did not make itself',
  },
  {
    cases: ['a pod without ipam *', 'a pod with an empty ipam section *', 'disableContainerInterface *'],
    aspect: 'CHECK *',
    upstream: ['exit status 1', 'code 999', 'msg "no plugin name provided"'],
    ours: 'ok',
    reason: 'upstream’s CHECK of a pod without ipam asks an IPAM plugin that has no name',
  },
]

const LINKS: readonly Difference[] = [
  {
    cases: ANY,
    aspect: WORLD,
    upstream: '*port <veth *> state disabled*',
    ours: '*port <veth *> state forwarding*',
    reason: 'ADD ends when the port forwards; upstream 1.1.1 does not wait for it',
    sometimes: true,
  },
  {
    cases: 'bridge has the name that is asked for',
    aspect: WORLD,
    upstream: '*link br-pods * mac_is random*',
    ours: '*link br-pods * mac_is set*',
    reason: 'the bridge gets its MAC when it is made',
  },
  {
    cases: [
      'a pod without ipam *',
      'a pod with an empty ipam section *',
      'the bridge keeps its MAC when it has no address',
    ],
    aspect: WORLD,
    ours: ['+ sysctl ipv4/conf/eth0/arp_notify 1', '+ sysctl ipv6/conf/eth0/accept_dad 0'],
    reason: 'an interface is set up the same way whoever gives it addresses later',
  },
  {
    cases: 'lo comes up when it is down',
    aspect: WORLD,
    ours: ['*link lo *', '*address lo *'],
    reason: 'lo is brought up, as pods need it; upstream leaves that to a plugin of its own',
  },
  {
    cases: 'isDefaultGateway serves the default route of the ipam section that has no next hop',
    aspect: ANY,
    upstream: [
      'exit status 1',
      'code 999',
      'msg "failed to add route * file exists"',
      'msg "host-local: Failed to find address *"',
    ],
    ours: ANY,
    reason: 'upstream adds a second default route beside the one that is asked for, and fails',
  },
  {
    cases: 'two interfaces of a pod on one network come and go by themselves',
    aspect: 'DEL pod1 eth1',
    upstream: ['exit status 1', 'code 999', 'msg "running * CHAIN_DEL failed *'],
    ours: 'ok',
    reason: 'upstream’s chain is named after the container, not the interface: both interfaces have one',
  },
]

const IPAM: readonly Difference[] = [
  {
    cases: 'host-local: the address that has been free longest is given again first',
    aspect: 'ADD pod1 as *',
    upstream: 'ips[0].address *',
    ours: 'ips[0].address *',
    reason:
      'reuse goes to the address that has been free longest; upstream goes round from the one given last',
  },
  {
    cases: 'host-local: a second ADD with a requested address takes nothing from the first',
    aspect: ['ADD pod1 #2', 'node'],
    upstream: 'msg "failed to allocate for range 1: *',
    ours: ['msg "failed to allocate for range 0: *', '+ lease *'],
    reason: 'upstream gives the live pod’s addresses away; ours refuses before it takes anything',
  },
  {
    cases: 'host-local: DEL releases the addresses when the ranges cannot be read any more',
    aspect: ['DEL *', 'left at the end'],
    upstream: ['exit status 1', 'code 999', 'msg "invalid CIDR address: no subnet"', 'node: + lease *'],
    ours: 'ok',
    reason: 'an edited config must not keep a pod from being deleted',
  },
]

const VERSIONS: readonly Difference[] = [
  {
    cases: 'bridge prints a result of 0.* when there is no ipam',
    aspect: 'left at the end',
    upstream: 'node: + *',
    reason:
      'a result without addresses cannot be said before 0.3.0: upstream finds that out when all is made',
  },
  {
    cases: '* lists the versions of the spec *',
    aspect: 'VERSION',
    upstream: 'cniVersion "1.0.0"',
    ours: 'supportedVersions[6] "1.1.0"',
    reason: 'upstream 1.1.1 knows no 1.1.0',
  },
  {
    cases: 'bridge says on stderr what it is *',
    aspect: 'no command',
    upstream: 'stderr: CNI *',
    ours: 'stderr: CNI *',
    reason: 'the name, the release and the versions are our own',
  },
  {
    cases: '* refuses a config that is none',
    aspect: ['an unknown version', 'a version that is close'],
    upstream: 'details "config is *',
    reason: 'the list of supported versions ends at 1.0.0',
  },
  {
    cases: '* refuses a config that is none',
    aspect: ['GC below 1.1.0', 'STATUS below 1.1.0'],
    upstream: ['code 4', 'msg "unknown CNI_COMMAND: *'],
    ours: ['code 1', 'msg "config version does not allow *'],
    reason: 'GC and STATUS are of 1.1.0; newer upstream answers as ours',
  },
]

const DELETIONS: readonly Difference[] = [
  {
    cases: 'DEL takes everything back when *',
    aspect: 'left at the end',
    upstream: ['node: + *', 'pod1: + *', 'node: - nft*'],
    reason: 'upstream needs the namespace and a config that it can read, and the same one as ADD had',
  },
  {
    cases: 'DEL takes everything back when *',
    aspect: 'DEL pod1*',
    upstream: ['exit status 1', 'code 999', 'msg *'],
    ours: 'ok',
    reason:
      'what is gone already, or cannot be read, is no reason for DEL to fail: it goes by the record of ADD',
  },
  {
    cases: 'CHECK fails when *',
    aspect: 'DEL pod1',
    upstream: ['exit status 1', 'code 999', 'msg "running * iptables *'],
    ours: 'ok',
    reason: 'upstream’s DEL stops at an iptables rule that is gone',
  },
  {
    cases: 'CHECK fails when the pod’s interface has another name',
    aspect: 'left at the end',
    upstream: ['node: + *', 'pod1: + *'],
    reason: 'upstream looks for the wire by its name in the pod, ours takes it by its end on the node',
  },
  {
    cases: 'CHECK fails when the pod’s interface is of another kind',
    aspect: 'left at the end',
    ours: 'pod1: + link eth0 kind bridge *',
    reason: 'a link of the same name that ADD did not make is not DEL’s to delete',
  },
]

const FAILED_ADDS: readonly Difference[] = [
  {
    cases: 'a failed ADD leaves nothing when *',
    aspect: ['node', 'pod*', 'left at the end'],
    upstream: ['*+ *', '*- sysctl *', 'node: - port *', 'node: - sysctl *', '*- link cni0 * admin down'],
    reason: 'upstream takes back the address only: wire, bridge, gateway and forwarding stay',
  },
  {
    cases: [
      'a failed ADD leaves nothing when no address is left',
      'a failed ADD leaves nothing when another pod *',
    ],
    aspect: 'left at the end',
    ours: 'node: - sysctl ipv6/conf/<veth 1>/accept_ra 0',
    reason: 'the names that veths get here are shifted by what upstream leaves',
  },
  {
    cases: 'a failed ADD leaves nothing when *',
    aspect: 'ADD *',
    upstream: 'msg *',
    ours: 'msg *',
    reason: 'an error says what was tried, on what, and the kernel’s own reason',
  },
  {
    cases: 'a failed ADD leaves nothing when the IPAM plugin *',
    aspect: 'ADD *',
    upstream: ['code 0', 'code 999'],
    ours: ['code 999', 'code 6'],
    reason: 'a crash is an error with a code, and a result that cannot be decoded has the spec’s code 6',
  },
  {
    cases: 'a failed ADD leaves nothing when *',
    aspect: 'DEL *',
    upstream: ['exit status 1', 'code 999', 'msg *'],
    ours: ['ok', 'msg *'],
    reason: 'upstream’s DEL stops at an iptables chain that the failed ADD had not made yet',
  },
]

const DELEGATES: readonly Difference[] = [
  {
    cases: 'host-local: more requested addresses than range sets are refused',
    aspect: 'ADD pod1',
    upstream: 'msg "failed to allocate all requested IPs: 10.1.0.88"',
    ours: 'msg "failed to allocate all requested IPs: 10.1.0.89"',
    reason: 'upstream takes the requested addresses in the order of a Go map, which is another each time',
    sometimes: true,
  },
  {
    cases: 'a failed ADD leaves nothing when the IPAM plugin crashes',
    aspect: 'ADD pod1',
    ours: 'stderr: out of cheese',
    reason: 'what a delegate says on stderr is passed on, as the spec wants it; upstream 1.1.1 swallows it',
  },
  {
    cases: 'a failed ADD leaves nothing when the IPAM plugin *',
    aspect: 'calls of the IPAM plugin',
    ours: 'DEL',
    reason: 'the spec wants DEL of a delegate after its failed ADD',
    sometimes: true,
  },
  {
    cases: 'a failed ADD leaves nothing when the mtu is too small for IPv6',
    aspect: 'ADD pod1',
    upstream: 'stderr: ipam_linux: *',
    reason: 'upstream looks for a sysctl that the interface has not got',
  },
]

const BAD_INPUT: readonly Difference[] = [
  {
    cases: ['bridge refuses *', 'host-local refuses *'],
    aspect: ANY,
    upstream: ['code 999', 'msg *'],
    ours: ['code 4', 'code 5', 'code 7', 'code 8', 'msg *'],
    reason:
      'codes are the spec’s, and a message names the key; upstream’s are Go’s, mostly with the code of last resort',
  },
  {
    cases: '* refuses a config that is none',
    aspect: 'null',
    upstream: 'code 7',
    ours: 'code 6',
    reason: 'null is no object; Go reads one without fields',
  },
  {
    cases: 'bridge refuses fields that it cannot use',
    aspect: 'mtu is -1',
    upstream: ANY,
    ours: 'exit status 1',
    reason: 'upstream takes a negative MTU for none',
  },
  {
    cases: 'bridge refuses fields that it cannot use',
    aspect: [
      'ipam and disableContainerInterface',
      'an ipMasqBackend that there is not',
      'a vlanTrunk that *',
    ],
    upstream: ANY,
    ours: 'exit status 1',
    reason: 'upstream 1.1.1 does not know disableContainerInterface, ipMasqBackend and vlanTrunk',
  },
  {
    cases: 'bridge refuses *',
    aspect: 'left at the end',
    upstream: ['node: *', 'pod1: *'],
    reason: 'upstream refuses when it has made half of the pod, and does not take it back',
  },
  {
    cases: 'bridge refuses a namespace path that is *',
    aspect: ['ADD *', 'node', 'DEL with the same path'],
    upstream: ANY,
    ours: ['exit status 1', 'ok'],
    reason:
      'ADD checks where a path leads before it makes anything; upstream wires a pod into the node itself',
  },
]

const MORE_BAD_INPUT: readonly Difference[] = [
  {
    cases: 'host-local refuses ranges that it cannot use',
    aspect: ['a route without dst', 'left at the end'],
    upstream: ANY,
    ours: 'exit status 1',
    reason: 'upstream passes on a route to "<nil>"',
  },
  {
    cases: ['CHECK fails when there is no prevResult', 'CHECK fails when prevResult *'],
    aspect: 'CHECK pod1',
    ours: ['code 7', 'code 6', 'msg "could not parse prevResult: *'],
    reason: 'a prevResult that is not there makes the config invalid, one that cannot be read is of code 6',
  },
]

const TRAFFIC: readonly Difference[] = [
  {
    cases: 'the first packet *',
    aspect: '* answers at once',
    upstream: 'IPv6 false',
    ours: 'IPv6 true',
    reason: 'upstream’s gateway waits for duplicate address detection after ADD has ended',
    sometimes: true,
  },
]

/** Host ports and firewalls. */
const HOSTPORTS: readonly Difference[] = [
  {
    cases: ['portmap refuses what is wrong', 'firewall refuses what is wrong'],
    aspect: ['ADD *', 'CHECK *'],
    upstream: 'code 999',
    ours: 'code 7',
    reason: 'a config that is wrong has the spec’s own code',
  },
  {
    cases: 'portmap refuses what is wrong',
    aspect: ['ADD *', 'CHECK *'],
    upstream: 'msg "failed to parse config: *',
    ours: 'msg *',
    reason: 'upstream says the same with a preface',
  },
  {
    cases: 'portmap passes a result on as it came',
    aspect: 'CHECK *',
    upstream: ['exit status 1', 'code 999', 'msg "could not check ipv6 dnat: *'],
    ours: 'ok',
    reason: 'upstream’s CHECK of a pod with both families looks for the rules of IPv4 among those of IPv6',
  },
  {
    cases: 'portmap refuses what is wrong',
    aspect: 'DEL *',
    upstream: ['exit status 1', 'code 999', 'msg "failed to parse config: *'],
    ours: 'ok',
    reason: 'DEL goes by the record, whatever the config says',
  },
  {
    cases: 'firewall refuses what is wrong',
    aspect: ['CHECK when the ingress *', 'CHECK when a policy *'],
    upstream: 'ok',
    ours: ['exit status 1', 'code 7', 'msg *'],
    reason: 'upstream’s CHECK does not look at the policy',
  },
  {
    cases: 'a host port is one pod’s by address and protocol*',
    aspect: ['outside', 'outside over IPv6'],
    upstream: 'pod1 sees 192.0.2.2*',
    ours: 'pod1 sees 10.1.0.1',
    reason: 'upstream 1.1.1 has no masqAll',
  },
  {
    cases: 'a host port is one pod’s by address and protocol*',
    aspect: 'outside over IPv6',
    upstream: 'pod1 sees 2001:db8:ffff::2',
    ours: 'pod1 sees fd00:1::1',
    reason: 'upstream 1.1.1 has no masqAll',
  },
  {
    cases: 'a host port is one pod’s by address and protocol*',
    aspect: 'somebody’s rule was first',
    upstream: 'pod1 sees 192.0.2.2',
    ours: 'pod2 sees 192.0.2.2',
    reason: 'ours looks after all who translate at the usual priority; upstream’s jump may be before theirs',
  },
  {
    cases: 'a host port goes with its pod',
    aspect: 'nobody has it',
    upstream: 'pod1 sees 192.0.2.2',
    ours: 'connect ECONNREFUSED 192.0.2.1:18080',
    reason: 'DEL goes by the record; upstream’s does nothing without runtimeConfig',
  },
  {
    cases: ['a host port goes with its pod', 'ingressPolicy *', 'pods pass *'],
    aspect: 'left at the end',
    upstream: '*link cni1 * mac_is random*',
    ours: '*link cni1 * mac_is set*',
    reason: 'the bridge gets its MAC when it is made',
    sometimes: true,
  },
]

export const DIFFERENCES: readonly Difference[] = [
  ...HOSTPORTS,
  ...EVERYWHERE,
  ...MASQUERADE,
  ...LINKS,
  ...FIELDS,
  ...CHECKS,
  ...DELETIONS,
  ...FAILED_ADDS,
  ...DELEGATES,
  ...IPAM,
  ...VERSIONS,
  ...BAD_INPUT,
  ...MORE_BAD_INPUT,
  ...TRAFFIC,
  ...BANDWIDTH,
  ...CHAIN,
]
