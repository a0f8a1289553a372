// Firewalls as their programs write them, and whether they are in the pods' way.

import tap, { test } from 'tap'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { makeNamespace } from '../testing/netns.ts'
import { dropText, explainDrop, findForwardDrops } from './forward-drops.ts'
import { NftSocket } from './nft-socket.ts'

const ns = makeNamespace(tap, 'fwd')
ns.run('ip', 'link', 'add', 'cni0', 'type', 'bridge')
const cni0 = Number(/^(\d+):/.exec(ns.run('ip', '-o', 'link', 'show', 'cni0'))?.[1])
const nft = new NftSocket(() => ns.netns.enter(() => openSocket(NETLINK_NETFILTER)))
tap.teardown(() => nft.close())

const packet = { from: { name: 'cni0', index: cni0 }, to: [{ name: 'eth0', index: 99 }] }

/** As Docker 28 and `iptables -S` have it. */
const DOCKER = `*filter
:INPUT ACCEPT
:FORWARD DROP
:DOCKER -
:DOCKER-BRIDGE -
:DOCKER-CT -
:DOCKER-FORWARD -
:DOCKER-USER -
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
COMMIT
`
/** What kube-proxy adds before all others. */
const KUBE_FORWARD = `-N KUBE-FORWARD
-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
`
const withMore = (base: string, more: string) => base.replace('COMMIT', `${more}COMMIT`)

/** As firewalld 2 has it, in the main; its zones are chains. */
const FIREWALLD = (allow: string) => `table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_FORWARD_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_ZONES {
    iifname "docker0" goto filter_FWD_docker
    iifname "eth0" goto filter_FWD_public
    goto filter_FWD_public
  }
  chain filter_FWD_docker { accept ; }
  chain filter_FWD_public { jump filter_FWD_public_allow ; }
  chain filter_FWD_public_allow { ${allow} ; }
}`

interface Row {
  readonly name: string
  readonly rules: string
  readonly program: 'nft' | 'iptables' | 'ip6tables'
  /** Text, owner, and the first word of the remedy. */
  readonly drops: readonly string[]
}

const chain = (name: string, policy: string, rules = '') => `table inet fw {
  set links { type ifname; elements = { "eth0", "cni0" }; }
  set pairs { type ifname . ifname; elements = { "eth0" . "cni0" }; }
  chain ${name} { type filter hook ${name} priority 0; policy ${policy}; ${rules} }
}`
const foreign = 'chain inet fw forward (policy drop) by whoever made table inet fw: nft'

const ROWS: readonly Row[] = [
  { name: 'nothing at all', rules: '', program: 'nft', drops: [] },
  { name: 'a chain that accepts', rules: chain('forward', 'accept'), program: 'nft', drops: [] },
  { name: 'a policy at another hook', rules: chain('input', 'drop'), program: 'nft', drops: [] },
  { name: 'a policy alone', rules: chain('forward', 'drop'), program: 'nft', drops: [foreign] },
  {
    name: 'a last rule that rejects',
    rules: chain('forward', 'accept', 'counter reject;'),
    program: 'nft',
    drops: ['chain inet fw forward (its last rule drops or rejects) by whoever made table inet fw: nft'],
  },
  ...(
    [
      ['the bridge', 'iifname "cni0" accept', false],
      ['the bridge by its index', 'iif "cni0" accept', false],
      ['links that begin so', 'iifname "cni*" accept', false],
      ['another link', 'iifname "cni1" accept', true],
      ['all but another link', 'iifname != "cni1" accept', false],
      ['a set of links with the bridge', 'iifname @links accept', false],
      ['what is not in a set of links with the bridge', 'iifname != @links accept', true],
      ['a list of other links', 'iifname { "eth0", "eth1" } accept', true],
      ['pairs of links, which are not looked into', 'iifname . oifname @pairs accept', false],
      ['the bridge by a map', 'iifname vmap { "cni0" : accept }', false],
      ['another link by a map', 'iifname vmap { "eth0" : accept }', true],
      ['the uplink', 'oifname "eth0" accept', false],
      ['another way out', 'oifname "eth1" accept', true],
      ['answers', 'ct state established,related accept', true],
      ['new connections', 'ct state new,established accept', false],
      ['answers, by a map', 'ct state vmap { established : accept, related : accept, invalid : drop }', true],
      ['new connections, by a map', 'ct state vmap { new : accept, invalid : drop }', false],
      ['what is marked', 'meta mark & 0x4000 == 0x4000 accept', true],
      ['what is translated', 'ct status dnat accept', true],
      ['another protocol', 'ip protocol icmp accept', true],
      ['a port', 'tcp dport 443 accept', false],
      ['an address', 'ip saddr 10.0.0.0/8 accept', false],
      ['everything, after a drop', 'drop; accept', true],
      ['everything, after a drop for some', 'ip daddr 10.0.0.1 drop; accept', false],
    ] as const
  ).map(([what, rule, drops]): Row => {
    const by = 'chain inet fw forward (its last rule drops or rejects) by whoever made table inet fw: nft'
    const expected = rule.startsWith('drop') ? by : foreign
    return {
      name: `a policy, and an accept for ${what}`,
      rules: chain('forward', 'drop', `${rule};`),
      program: 'nft',
      drops: drops ? [expected] : [],
    }
  }),
  {
    name: 'Docker',
    rules: DOCKER,
    program: 'iptables',
    drops: ['chain ip filter FORWARD (policy drop) by Docker: iptables'],
  },
  {
    name: 'Docker and kube-proxy',
    rules: withMore(DOCKER, KUBE_FORWARD),
    program: 'iptables',
    drops: ['chain ip filter FORWARD (policy drop) by Docker: iptables'],
  },
  {
    name: 'Docker with the bridge let through',
    rules: withMore(DOCKER, '-A DOCKER-USER -i cni0 -j ACCEPT\n'),
    program: 'iptables',
    drops: [],
  },
  {
    name: 'Docker with new connections let through',
    rules: withMore(DOCKER, '-A DOCKER-USER -m conntrack ! --ctstate INVALID,RELATED -j ACCEPT\n'),
    program: 'iptables',
    drops: [],
  },
  {
    name: 'IPv6 rules',
    rules: '*filter\n:FORWARD DROP\n-A FORWARD -m state --state ESTABLISHED -j ACCEPT\nCOMMIT\n',
    program: 'ip6tables',
    drops: ['chain ip6 filter FORWARD (policy drop) by rules of ip6tables: ip6tables'],
  },
  {
    name: 'ufw',
    rules:
      '*filter\n:FORWARD DROP\n:ufw-before-forward -\n-A FORWARD -j ufw-before-forward\n' +
      '-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n' +
      '-A ufw-before-forward -p icmp -m icmp --icmp-type 3 -j ACCEPT\n' +
      '-A ufw-before-forward -p udp -j REJECT\nCOMMIT\n',
    program: 'iptables',
    drops: ['chain ip filter FORWARD (policy drop) by ufw: ufw'],
  },
  {
    name: 'firewalld',
    rules: FIREWALLD('oifname "eth7" accept'),
    program: 'nft',
    drops: [
      'chain inet firewalld filter_FORWARD (its last rule drops or rejects) by firewalld: firewall-cmd',
    ],
  },
  {
    name: 'firewalld with forwarding inside the zone of the uplink',
    rules: FIREWALLD('oifname "eth0" accept'),
    program: 'nft',
    drops: [],
  },
]

for (const { name, rules, program, drops } of ROWS) {
  const answer = drops.length === 0 ? 'leaves pods alone' : 'is in the way of pods'
  test(`a firewall ${answer} when it has ${name}`, async (t) => {
    ns.run('nft', 'flush', 'ruleset')
    const reader = program === 'nft' ? 'nft -f -' : `${program}-restore`
    ns.run('sh', '-c', `printf %s "$1" | ${reader}`, 'sh', rules)
    const found = await findForwardDrops(nft, async () => packet)
    const texts = found.map((drop) => {
      const { owner, remedy } = explainDrop(drop, 'cni0')
      return `${dropText(drop)} by ${owner}: ${remedy.split(' ')[0]}`
    })
    t.strictSame(texts, drops, ns.run('nft', 'list', 'ruleset'))
    for (const drop of found) {
      for (const command of explainDrop(drop, 'cni0').remedy.split('; ')) {
        const [program = '', ...words] = command.split(' ')
        if (program === 'nft' || program.endsWith('tables')) ns.run(program, ...words)
      }
    }
    const canMend = !/firewalld|ufw/.test(name)
    if (canMend) t.strictSame(await findForwardDrops(nft, async () => packet), [], 'the remedy is one')
  })
}
