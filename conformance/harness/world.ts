// The state of a namespace as lines of text, so that "as it was" is one comparison: links with their addresses,
// routes, rules, sysctls of interfaces, the nftables ruleset.
//
// Left out, because the kernel makes it by itself and in its own time: link-local addresses and what follows from
// them, the table "local", carrier and its consequences (linkdown, operstate), counters.

import { shellIn } from './namespace-shell.ts'

/** A here-document needs no process, as a pipe would. */
const ROUTES = `-batch - <<'END'
route show table all
rule
END`
/**
 * Each part ends with a line that no program prints; a part of several commands has an array of JSON for each. Some hundred
 * processes of a test are these: as few as can be.
 */
const PARTS = [
  'ip -j -d addr',
  `ip -j -4 ${ROUTES}`,
  `ip -j -6 ${ROUTES}`,
  'grep -rs . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ip_forward /sys/class/net/*/addr_assign_type',
  'nft -s list ruleset',
]
const END = '=== end of part ==='
const SCRIPT = PARTS.map((command) => `${command}\necho; echo '${END}'`).join('\n')

/** @param namespace  name for `ip netns` */
export async function readWorld(namespace: string): Promise<string[]> {
  const output = await shellIn(namespace).run(SCRIPT)
  const parts = output.split(`${END}\n`).map((part) => part.trim())
  const [links = '', ipv4 = '', ipv6 = '', settings = '', ruleset = ''] = parts
  const [routes4 = '', rules4 = ''] = ipv4.split('\n')
  const [routes6 = '', rules6 = ''] = ipv6.split('\n')
  return [
    ...describeLinks(parse(links), parseAssigned(settings)),
    ...[routes4, routes6].flatMap((text) => describeRoutes(parse(text))),
    ...[rules4, rules6].flatMap((text) => parse(text).map((rule) => `rule ${words(rule)}`)),
    ...describeSysctls(settings),
    ...describeRuleset(ruleset),
  ]
}

type Fields = Readonly<Record<string, unknown>>

function parse(text: string): Fields[] {
  return text === '' ? [] : (JSON.parse(text) as Fields[])
}

/** linux/netdevice.h, NET_ADDR_*: who chose the MAC decides who may change it. */
const ASSIGNED: Readonly<Record<string, string>> = { 0: 'permanent', 1: 'random', 2: 'stolen', 3: 'set' }

function parseAssigned(text: string): Map<string, string> {
  const lines = text.matchAll(/^\/sys\/class\/net\/(.+)\/addr_assign_type:(.*)$/gm)
  return new Map(Array.from(lines, ([, name = '', who = '']) => [name, ASSIGNED[who] ?? '']))
}

function describeLinks(links: readonly Fields[], assigned: ReadonlyMap<string, string>): string[] {
  return links.flatMap((link) => {
    const { linkinfo, addr_info: addresses } = link as { linkinfo?: Fields; addr_info?: readonly Fields[] }
    const name = String(link['ifname'])
    const flags = link['flags'] as readonly string[]
    return [
      `link ${name} ${words({
        kind: linkinfo?.['info_kind'] ?? link['link_type'],
        mtu: link['mtu'],
        mac: link['link_type'] === 'loopback' ? undefined : link['address'],
        mac_is: assigned.get(name),
        admin: flags.includes('UP') ? 'up' : 'down',
        promisc: flags.includes('PROMISC') || undefined,
        allmulti: flags.includes('ALLMULTI') || undefined,
        mode: (linkinfo?.['info_data'] as Fields | undefined)?.['mode'],
        master: link['master'],
        alias: link['ifalias'],
      })}`,
      ...describePort(name, linkinfo),
      ...(addresses ?? []).filter(isNotLinkLocal).map((address) => describeAddress(name, address)),
    ]
  })
}

function describePort(name: string, linkinfo: Fields | undefined): string[] {
  if (linkinfo?.['info_slave_kind'] !== 'bridge') return []
  const { state, hairpin, isolated } = linkinfo['info_slave_data'] as Fields
  return [`port ${name} ${words({ state, hairpin, isolated })}`]
}

function isNotLinkLocal({ family, scope }: Fields): boolean {
  return !(family === 'inet6' && scope === 'link')
}

function describeAddress(dev: string, address: Fields): string {
  const { local, prefixlen, broadcast, scope, nodad, dadfailed } = address
  return `address ${dev} ${local}/${prefixlen} ${words({ broadcast, scope, nodad, dadfailed })}`
}

function describeRoutes(routes: readonly Fields[]): string[] {
  return routes
    .filter(({ table, dst }) => table !== 'local' && dst !== 'fe80::/64' && dst !== 'multicast')
    .map(({ dst, flags: _, pref: __, ...rest }) => `route ${dst} ${words(rest)}`)
}

const SYSCTLS = '/proc/sys/net/'
/** Said with the link, or switched together with ip_forward. */
const FOLLOWING = /\/mtu$|^ipv4\/conf\/all\/(?:forwarding|accept_redirects|send_redirects)$/

/** An interface's own settings where they are not those that every new one has. */
function describeSysctls(text: string): string[] {
  const own = text.split('\n').filter((line) => line.startsWith(SYSCTLS))
  const all = own.map((line) => {
    const at = line.indexOf(':', line.lastIndexOf('/'))
    return [line.slice(SYSCTLS.length, at), line.slice(at + 1)] as const
  })
  const values = new Map(all)
  const lines = all.flatMap(([key, value]) => {
    const [, family, dev, name] = /^(ipv[46])\/conf\/(.+)\/([^/]+)$/.exec(key) ?? []
    if (FOLLOWING.test(key) || (dev !== 'all' && values.get(`${family}/conf/default/${name}`) === value))
      return []
    return [`sysctl ${key} ${value}`]
  })
  return lines.sort()
}

/** Each line with the table and chain it is in. */
function describeRuleset(text: string): string[] {
  const path: string[] = []
  const lines: string[] = []
  for (const line of text
    .split('\n')
    .map((one) => one.trim())
    .filter((one) => one !== '')) {
    if (line === '}') path.pop()
    else if (/^(?:table|chain|set|map) .*\{$/.test(line)) {
      path.push(line.slice(0, -1).trim())
      lines.push(`nft ${path.join(' ')}`)
    } else lines.push(`nft ${[...path, line].join(' ')}`)
  }
  return lines
}

/** `name value` pairs of what is there; true is the name alone. */
function words(fields: Fields): string {
  return Object.entries(fields)
    .filter(
      ([, value]) => value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0),
    )
    .map(([name, value]) =>
      value === true ? name : `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`,
    )
    .join(' ')
}
