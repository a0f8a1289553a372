// Upstream's own test titles, and what became of each here. Its tests call functions; ours run binaries: a title is
// replayed when a case shows the same behaviour from outside.

export interface Title {
  readonly suite:
    | 'bridge'
    | 'host-local'
    | 'allocator'
    | 'config'
    | 'range'
    | 'range set'
    | 'disk'
    | 'skel'
    | 'portmap'
    | 'firewall'
  readonly title: string
  readonly status: 'replayed' | 'not applicable'
  /** Replayed: titles of cases, or names of rows in the tables of bad input. Otherwise: why. */
  readonly by: string | readonly string[]
}

type Row = readonly [title: string, by: string | readonly string[]]

function replayed(suite: Title['suite'], rows: readonly Row[]): Title[] {
  return rows.map(([title, by]) => ({ suite, title, status: 'replayed', by }))
}

function notApplicable(suite: Title['suite'], by: string, titles: readonly string[]): Title[] {
  return titles.map((title) => ({ suite, title, status: 'not applicable', by }))
}

/** Where the kernel's bridges filter VLANs the case of the title is played; where they do not, its refusal. */
const NO_VLAN = 'vlan is refused when the kernel has no VLANs, and nothing is left'
const NO_TRUNK = 'vlanTrunk is refused when the kernel has no VLANs, and nothing is left'

const BRIDGE: readonly Title[] = [
  ...replayed('bridge', [
    ['creates a bridge', 'bridge makes a pod with an address when nothing else is asked for'],
    ['handles an existing bridge', 'an existing bridge is used as it is'],
    ['default route with ADD/DEL, IPv4', 'bridge prints a result of 1.0.0 when the pod has IPv4'],
    ['default route with ADD/DEL, IPv6', 'bridge prints a result of 1.0.0 when the pod has IPv6'],
    ['default route with ADD/DEL, dual stack', 'isDefaultGateway gives the pod default routes'],
    [
      'default route with ADD/DEL, three subnets',
      'bridge makes a pod with three addresses when there are three range sets',
    ],
    ['default route with ADD/DEL, resolvConf', 'host-local: a name server comes from resolvConf'],
    ['l2 bridge and veth with ADD/DEL', 'a pod without ipam has a link and no address'],
    ['l2 bridge at 0.1.0 and 0.2.0', 'bridge prints a result of 0.2.0 when there is no ipam'],
    ['three subnets at 0.2.0', 'two sets of a family below 0.3.0'],
    [
      'deconfigures an unconfigured bridge with DEL',
      'DEL takes everything back when the attachment was never added',
    ],
    [
      'ensure bridge address, v4',
      [
        'a failed ADD leaves nothing when the bridge has another address',
        'forceAddress replaces another IPv4 address of the bridge',
      ],
    ],
    [
      'ensure bridge address, v6 overlapping',
      'a failed ADD leaves nothing when the bridge has another IPv6 address that overlaps',
    ],
    ['ensure bridge address, v6 not overlapping', 'an IPv6 address of another subnet stays on the bridge'],
    ['ensure promiscuous mode on bridge', 'promiscMode makes the bridge promiscuous'],
    [
      'creates a bridge with a stable MAC address',
      [
        'the bridge keeps its MAC and its ports theirs when pods come and go',
        'the bridge keeps its MAC when it has no address',
      ],
    ],
    ['explicit MAC from CNI_ARGS', 'the MAC comes from CNI_ARGS when nothing else gives one'],
    ['explicit MAC from Args', 'the MAC comes from args.cni before CNI_ARGS'],
    ['explicit MAC from RuntimeConfig', 'the MAC comes from runtimeConfig before all others'],
    [
      'checks ip release in case of error',
      'a failed ADD leaves nothing when a route has a next hop that cannot be reached',
    ],
    [
      'bridge and ipMasq rules',
      ['ipMasq hides IPv4 pods behind the node', 'ipMasq hides pods of both families behind the node'],
    ],
    ['ADD/DEL/CHECK at 0.4.0', 'CHECK is content right after ADD when cniVersion is 0.4.0'],
    ['ADD/DEL/CHECK at 1.0.0', 'CHECK is content right after ADD when cniVersion is 1.0.0'],
    [
      'vlan trunk parse table',
      [
        'vlanTrunk keeps its tags at the port, and leaves the default VLAN',
        'a vlanTrunk that has no maxID',
        'a vlanTrunk that has no minID',
        'a vlanTrunk that has a negative minID',
        'a vlanTrunk that has a minID of 5000',
        'a vlanTrunk that has a maxID of 5000',
        'a vlanTrunk that has a negative maxID',
        'a vlanTrunk that has an id of 5000',
        'a vlanTrunk that has a negative id',
        'a vlanTrunk that ends before it begins',
      ],
    ],
    ['l2 vlan id 100', ['vlan is that of the port', NO_VLAN]],
    [
      'l2 vlanTrunk 101,200~210',
      ['vlanTrunk keeps its tags at the port, and leaves the default VLAN', NO_TRUNK],
    ],
    ['l2 vlan 100 + vlanTrunk', ['vlan and vlanTrunk go together', NO_TRUNK]],
    ['l2 vlan 100 and no default vlan', ['vlan is that of the port', NO_VLAN]],
    ['default route and vlanID 100', 'the gateway of a vlan serves pods that stay in the default VLAN, too'],
    [
      'default route, vlanID 100 and no default vlan',
      'the gateway of a vlan serves the pods of that VLAN alone',
    ],
    ['check vlan id when loading net conf', ['vlan -1', 'vlan 4095']],
    ['mac spoof-check', 'macspoofchk drops what comes from another MAC'],
    ['fail when both IPAM and DisableContainerInterface', 'ipam and disableContainerInterface'],
    ['container veth peer state down', 'disableContainerInterface leaves the interface of the pod down'],
    [
      'port-isolation off / on',
      ['without portIsolation pods meet', 'portIsolation keeps pods apart, not from the gateway'],
    ],
    [
      'ipMasqBackend iptables / nftables',
      [
        'ipMasqBackend may be iptables',
        'ipMasqBackend may be nftables',
        'an ipMasqBackend that there is not',
      ],
    ],
  ]),
]

const HOST_LOCAL: readonly Title[] = [
  ...replayed('host-local', [
    ['allocates and releases addresses with ADD/DEL', 'host-local: each range set gives an address'],
    [
      'allocates and releases addresses on specific interface with ADD/DEL',
      'host-local: another interface of a container has an address of its own',
    ],
    [
      'repeat allocating addresses on specific interface for same container ID with ADD',
      'host-local: a second ADD of an attachment is refused and takes nothing from the first',
    ],
    ["doesn't error when passed an unknown ID on DEL", 'host-local: DEL of what was never added is fine'],
    ['verify no error message on initial subnet creation', 'host-local: the old flat form is a range set'],
    ['custom IP by config args', 'host-local: an address is requested in args.cni.ips'],
    [
      'custom IPs from multiple ranges',
      'host-local: addresses of two range sets are requested in args.cni.ips',
    ],
    [
      'custom IPs from multiple protocols',
      'host-local: addresses of both families are requested in args.cni.ips',
    ],
    [
      'fails if a requested custom IP is not used',
      'host-local: more requested addresses than range sets are refused',
    ],
    [
      'verify DEL works on backwards compatible allocate',
      'host-local: DEL releases what a file without interface names',
    ],
    ['ignores whitespace in disk files', 'host-local: DEL releases what a file names with space around it'],
  ]),
]

const IPAM_PACKAGES: readonly Title[] = [
  ...replayed('allocator', [
    ['should allocate all IPs round robin', 'host-local: addresses go round before one is given again'],
    [
      'should not allocate the broadcast address',
      'host-local: a small subnet gives all but network, gateway and broadcast',
    ],
    ['must allocate the requested IP', 'host-local: an address is requested in CNI_ARGS'],
    ['fail when requested IP is allocated', 'host-local: a requested address that another holds is refused'],
    [
      'fail when requested IP is after RangeEnd or before RangeStart',
      'host-local: a requested address that is in no range is refused',
    ],
    ['two ranges in a set', 'host-local: the ranges of a set serve one after another'],
    ['out of IPs: meaningful error', 'host-local: an exhausted set takes nothing from the sets before it'],
  ]),
  ...notApplicable('allocator', 'about the iterator inside; ours has none, and an order of its own', [
    'RangeIter: loop from the beginning / end / middle',
    'lastReserved at the end of one of multiple ranges',
    'no lastReserved',
  ]),
  ...replayed('config', [
    ['old-style', 'host-local: the old flat form is a range set'],
    ['new-style', 'host-local: each range set gives an address'],
    ['mixed with runtime args', 'host-local: runtimeConfig.ipRanges come before all'],
    ['CNI_ARGS without prefix', 'host-local: an address is requested in CNI_ARGS'],
    ['CNI_ARGS with prefix', 'host-local: an address is requested in CNI_ARGS with a prefix length'],
    ['config args without prefix', 'host-local: an address is requested in args.cni.ips'],
    ['config args with prefix', 'host-local: an address is requested in args.cni.ips with a prefix length'],
    ['overlap between sets', 'sets that overlap'],
    ['overlap within a set', 'ranges of a set that overlap'],
    ['different families in a set', 'gateway of the other family'],
    ['too many ranges of a family at 0.2.0', 'two sets of a family below 0.3.0'],
    ['one v4 and one v6 at 0.2.0', 'bridge prints a result of 0.2.0 when the pod has both families'],
    ['custom IPs from runtimeConfig', 'host-local: addresses are requested in runtimeConfig.ips'],
  ]),
  ...replayed('range', [
    ['defaults v4', 'host-local: each range set gives an address'],
    ['defaults v6', 'host-local: each range set gives an address'],
    ['reject v4 with host bits', 'host bits'],
    ['reject v6 with host bits', 'host bits of IPv6'],
    ['reject invalid start', 'rangeStart outside'],
    ['reject invalid end', 'rangeEnd outside'],
    ['parse all fields', 'host-local: the old flat form is a range set'],
  ]),
  ...notApplicable('range', 'ours hands out addresses of /31 and /32 (/127 and /128) too', [
    'reject too small a subnet',
  ]),
  ...notApplicable('range', 'of a function; the table is in lib/ipam', ['in-range v4 / v6', 'overlap table']),
  ...notApplicable('range set', 'of a function; the table is in lib/ipam', [
    'membership',
    'overlaps within',
    'outside',
  ]),
  ...notApplicable('disk', 'ours has no lock file of upstream’s kind', [
    'lock: file path',
    'lock: folder path',
  ]),
]

const SKEL: readonly Title[] = [
  ...replayed('skel', [
    [
      'missing env per command',
      ['ADD with no variables', 'CHECK with no variables', 'DEL with no variables'],
    ],
    ['invalid container id', 'container id "a/b"'],
    ['ifname is too long', 'interface name of 16'],
    ['ifname is . or ..', 'interface name .'],
    [
      'ifname has / or : or whitespace',
      ['interface name "a/b"', 'interface name "a:b"', 'interface name "a b"'],
    ],
    ['unsupported version', 'an unknown version'],
    ['bad name', ['an empty name', 'name "a/b"']],
    ['CHECK below 0.4.0', 'CHECK below 0.4.0'],
    ['GC and STATUS below 1.1.0', ['GC below 1.1.0', 'STATUS below 1.1.0']],
    ['missing cniVersion is 0.1.0', 'bridge prints a result of 0.1.0 when the config has no cniVersion'],
    [
      'empty CNI_COMMAND prints the about text',
      'bridge says on stderr what it is when CNI_COMMAND is empty, whatever else is wrong',
    ],
    ['VERSION', 'bridge lists the versions of the spec when VERSION is called with nothing else'],
    ['netns is the same', 'bridge refuses a namespace path that is the plugin’s own'],
  ]),
]

const PORTMAP: readonly Title[] = [
  ...replayed('portmap', [
    ['rejects invalid port mappings', 'portmap refuses what is wrong'],
    ['external mark and mark bit exclude each other', 'portmap refuses what is wrong'],
    ['forwards a TCP port on ipv4: host IP, localhost, hairpin', 'a host port is reached from everywhere'],
    ['UDP keeps working after a second container with the same HostPort', 'a host port goes with its pod'],
    [
      'masqAll on IPv4 and IPv6',
      'a host port is one pod’s by address and protocol, and nobody’s when it only passes through',
    ],
    ['nftables: working CHECK', 'portmap passes a result on as it came'],
  ]),
  ...notApplicable('portmap', 'they are about chains of iptables, or of upstream’s own tables', [
    'creates and destroys a chain',
    'creates a chain idempotently',
    'deletes chains idempotently, and in parallel',
    'standard container chain',
    'top-level and mark chains',
    'nftables: correct rules',
    'rejects nftables options with iptables',
  ]),
]

const FIREWALL: readonly Title[] = [
  ...replayed('firewall', [
    ['installs, checks and cleans up rules', 'pods pass a firewall that drops, as Docker leaves it'],
    [
      'custom admin chain',
      'a host port passes a firewall that drops, and an administrator’s chain stops what others let through',
    ],
    [
      'same-bridge: within a bridge open, between bridges closed',
      'ingressPolicy same-bridge and isolated close a pod',
    ],
    ['isolated: both closed', 'ingressPolicy same-bridge and isolated close a pod'],
  ]),
  ...notApplicable('firewall', 'firewalld is not asked over D-Bus', [
    'firewalld: works with a config',
    'firewalld: is the default when it runs',
    'firewalld: passes prevResult',
    'firewalld: Check',
  ]),
]

export const TITLES: readonly Title[] = [
  ...BRIDGE,
  ...HOST_LOCAL,
  ...IPAM_PACKAGES,
  ...SKEL,
  ...PORTMAP,
  ...FIREWALL,
]
