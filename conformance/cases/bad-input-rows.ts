// The table of bad input: variables, stdin, fields of the bridge. Codes and order are those of the spec and of
// upstream's skel.

import type { Config } from '../harness/plugin.ts'

export interface Row {
  /** Name of the answer in the outcome. */
  readonly what: string
  /** ADD when absent. */
  readonly command?: string
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Instead of a config. */
  readonly stdin?: string
  /** Laid over a config that is good. */
  readonly fields?: Config
  /** Instead of the good config's ranges. */
  readonly ipam?: Config
  readonly code: number
  readonly msg: RegExp
  readonly details?: RegExp
}

const NOTHING = {
  CNI_CONTAINERID: undefined,
  CNI_NETNS: undefined,
  CNI_IFNAME: undefined,
  CNI_PATH: undefined,
}
const MISSING_ALL = /^required env variables \[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH\] missing$/

export const ENVIRONMENT_ROWS: readonly Row[] = [
  { what: 'ADD with no variables', environment: NOTHING, code: 4, msg: MISSING_ALL },
  { what: 'CHECK with no variables', command: 'CHECK', environment: NOTHING, code: 4, msg: MISSING_ALL },
  {
    what: 'DEL with no variables',
    command: 'DEL',
    environment: NOTHING,
    code: 4,
    msg: /\[CNI_CONTAINERID,CNI_IFNAME,CNI_PATH\] missing/,
  },
  {
    what: 'no container id',
    environment: { CNI_CONTAINERID: '' },
    code: 4,
    msg: /^required env variables \[CNI_CONTAINERID\] missing$/,
  },
  { what: 'no namespace', environment: { CNI_NETNS: '' }, code: 4, msg: /\[CNI_NETNS\] missing/ },
  { what: 'no interface name', environment: { CNI_IFNAME: '' }, code: 4, msg: /\[CNI_IFNAME\] missing/ },
  { what: 'no path', environment: { CNI_PATH: '' }, code: 4, msg: /\[CNI_PATH\] missing/ },
  {
    what: 'no path, and bad stdin',
    environment: { CNI_PATH: '' },
    stdin: '{',
    code: 4,
    msg: /\[CNI_PATH\] missing/,
  },
  ...['-a', '.a', 'a/b', 'a b', 'ü', 'a:b', 'a\nb'].map((id) => ({
    what: `container id ${JSON.stringify(id)}`,
    environment: { CNI_CONTAINERID: id },
    code: 4,
    msg: /^invalid characters in containerID$/,
  })),
  {
    what: 'bad container id and no namespace',
    environment: { CNI_CONTAINERID: '-', CNI_NETNS: '' },
    code: 4,
    msg: /^invalid characters in containerID$/,
  },
  {
    what: 'no container id and bad interface name',
    environment: { CNI_CONTAINERID: '', CNI_IFNAME: '..' },
    code: 4,
    msg: /^interface name is \. or \.\.$/,
  },
  {
    what: 'interface name of 16',
    environment: { CNI_IFNAME: 'abcdefghijklmnop' },
    code: 4,
    msg: /^interface name is too long$/,
  },
  {
    what: 'interface name .',
    environment: { CNI_IFNAME: '.' },
    code: 4,
    msg: /^interface name is \. or \.\.$/,
  },
  ...['a/b', 'a:b', 'a b', 'a\tb', 'a\u00a0b'].map((name) => ({
    what: `interface name ${JSON.stringify(name)}`,
    environment: { CNI_IFNAME: name },
    code: 4,
    msg: /^interface name contains \/ or : or whitespace characters$/,
  })),
  { what: 'an unknown command', command: 'MAKE', code: 4, msg: /^unknown CNI_COMMAND: MAKE$/ },
  { what: 'a command in lower case', command: 'add', code: 4, msg: /^unknown CNI_COMMAND: add$/ },
  {
    what: 'an unknown command and bad stdin',
    command: 'MAKE',
    stdin: '{',
    code: 6,
    msg: /^error unmarshall network config: /,
  },
  { what: 'an argument without value', environment: { CNI_ARGS: 'FOO' }, code: 4, msg: /invalid pair "FOO"/ },
  {
    what: 'an argument with two =',
    environment: { CNI_ARGS: 'A=B=C' },
    code: 4,
    msg: /invalid pair "A=B=C"/,
  },
  {
    what: 'an unknown argument',
    environment: { CNI_ARGS: 'FOO=bar' },
    code: 4,
    msg: /unknown args \["FOO=bar"\]/,
  },
  {
    what: 'an unknown argument that is not to be ignored',
    environment: { CNI_ARGS: 'IgnoreUnknown=0;FOO=bar' },
    code: 4,
    msg: /unknown args/,
  },
  {
    what: 'IgnoreUnknown that is no truth value',
    environment: { CNI_ARGS: 'IgnoreUnknown=maybe' },
    code: 4,
    msg: /IgnoreUnknown/,
  },
]

const DECODING = /^error unmarshall network config: /

export const STDIN_ROWS: readonly Row[] = [
  { what: 'nothing', stdin: '', code: 6, msg: DECODING },
  { what: 'half an object', stdin: '{"name": "net"', code: 6, msg: DECODING },
  { what: 'no JSON', stdin: 'hello', code: 6, msg: DECODING },
  { what: 'a list', stdin: '[]', code: 6, msg: DECODING },
  { what: 'a text', stdin: '"net"', code: 6, msg: DECODING },
  { what: 'a number', stdin: '7', code: 6, msg: DECODING },
  { what: 'two objects', stdin: '{"name":"net"}{}', code: 6, msg: DECODING },
  { what: 'null', stdin: 'null', code: 6, msg: DECODING },
  { what: 'bytes that are no UTF-8', stdin: '\ufffd\u0000', code: 6, msg: DECODING },
  { what: 'very deep', stdin: `${'['.repeat(100_000)}${']'.repeat(100_000)}`, code: 6, msg: DECODING },
  { what: 'an empty object', stdin: '{}', code: 7, msg: /^missing network name$/ },
  { what: 'an empty name', fields: { name: '' }, code: 7, msg: /^missing network name$/ },
  { what: 'a name that is a number', fields: { name: 7 }, code: 6, msg: /name/ },
  ...['a/b', '-net', 'a b', '../net', 'ü'].map((name) => ({
    what: `name ${JSON.stringify(name)}`,
    fields: { name },
    code: 7,
    msg: /^invalid characters found in network name$/,
  })),
  {
    what: 'a name and a version that are bad',
    fields: { name: '-', cniVersion: '9.9.9' },
    code: 7,
    msg: /network name/,
  },
  {
    what: 'an unknown version',
    fields: { cniVersion: '9.9.9' },
    code: 1,
    msg: /^incompatible CNI versions$/,
    details: /^config is "9\.9\.9", plugin supports \[/,
  },
  {
    what: 'a version that is close',
    fields: { cniVersion: '1.0' },
    code: 1,
    msg: /^incompatible CNI versions$/,
  },
  { what: 'a version that is a number', fields: { cniVersion: 1 }, code: 6, msg: /version/ },
  {
    what: 'CHECK below 0.4.0',
    command: 'CHECK',
    fields: { cniVersion: '0.3.1' },
    code: 1,
    msg: /^config version does not allow CHECK$/,
  },
  {
    what: 'GC below 1.1.0',
    command: 'GC',
    fields: { cniVersion: '1.0.0' },
    code: 1,
    msg: /^config version does not allow GC$/,
  },
  {
    what: 'STATUS below 1.1.0',
    command: 'STATUS',
    fields: { cniVersion: '1.0.0' },
    code: 1,
    msg: /^config version does not allow STATUS$/,
  },
]

/** Texts of upstream's, that newer ones have. */
const TRUNKS: readonly (readonly [what: string, item: Config, msg: RegExp])[] = [
  ['has no maxID', { minID: 100 }, /^minID and maxID should be configured simultaneously, maxID is missing$/],
  ['has no minID', { maxID: 105 }, /^minID and maxID should be configured simultaneously, minID is missing$/],
  ['has a negative minID', { minID: -1, maxID: 105 }, /^incorrect trunk minID parameter$/],
  ['has a minID of 5000', { minID: 5000, maxID: 105 }, /^incorrect trunk minID parameter$/],
  ['has a maxID of 5000', { minID: 100, maxID: 5000 }, /^incorrect trunk maxID parameter$/],
  ['has a negative maxID', { minID: 100, maxID: -1 }, /^incorrect trunk maxID parameter$/],
  ['has an id of 5000', { id: 5000 }, /^incorrect trunk id parameter$/],
  ['has a negative id', { id: -1 }, /^incorrect trunk id parameter$/],
  ['ends before it begins', { minID: 105, maxID: 100 }, /^minID is greater than maxID in trunk parameter$/],
]

function wrongType(key: string, value: unknown): Row {
  const [outer = '', inner] = key.split('.')
  const fields = inner === undefined ? { [outer]: value } : { [outer]: { [inner]: value } }
  return {
    what: `${key} is ${JSON.stringify(value)}`,
    fields,
    code: 7,
    msg: new RegExp(`^${key.replace('.', '\\.')}[:[]`),
  }
}

export const FIELD_ROWS: readonly Row[] = [
  wrongType('bridge', 7),
  wrongType('isGateway', 'yes'),
  wrongType('isDefaultGateway', 1),
  wrongType('forceAddress', {}),
  wrongType('ipMasq', 'true'),
  wrongType('mtu', '1400'),
  wrongType('mtu', 1400.5),
  wrongType('mtu', -1),
  wrongType('mtu', 1e12),
  wrongType('hairpinMode', []),
  wrongType('promiscMode', 'on'),
  wrongType('dns', []),
  wrongType('dns.nameservers', '10.1.0.53'),
  wrongType('dns.search', [7]),
  wrongType('ipam', 'host-local'),
  wrongType('ipam.type', 7),
  wrongType('vlan', 'blue'),
  wrongType('args', 'mac'),
  wrongType('runtimeConfig', 7),
  wrongType('runtimeConfig.mac', 'no mac'),
  {
    what: 'hairpinMode and promiscMode',
    fields: { hairpinMode: true, promiscMode: true },
    code: 7,
    msg: /^cannot set hairpin mode and promiscuous mode at the same time$/,
  },
  {
    what: 'ipam and disableContainerInterface',
    fields: { disableContainerInterface: true },
    code: 7,
    msg: /^cannot use IPAM when DisableContainerInterface flag is set$/,
  },
  {
    what: 'an ipMasqBackend that there is not',
    fields: { ipMasqBackend: 'ebpf' },
    code: 7,
    msg: /^unknown ipmasq backend "ebpf"$/,
  },
  ...[-1, 4095].map((vlan) => ({
    what: `vlan ${vlan}`,
    fields: { vlan },
    code: 7,
    msg: /^invalid VLAN ID -?\d+ \(must be between 0 and 4094\)$/,
  })),
  ...TRUNKS.map(([what, item, msg]) => ({
    what: `a vlanTrunk that ${what}`,
    fields: { vlanTrunk: [item] },
    code: 7,
    msg,
  })),
  {
    what: 'a bridge name that is too long',
    fields: { bridge: 'abcdefghijklmnop' },
    code: 7,
    msg: /^bridge: /,
  },
  { what: 'a bridge name with a slash', fields: { bridge: 'a/b' }, code: 7, msg: /^bridge: / },
  {
    what: 'a MAC argument that is none',
    environment: { CNI_ARGS: 'IgnoreUnknown=1;MAC=zz' },
    code: 4,
    msg: /MAC/,
  },
  {
    what: 'an IPAM plugin that is not there',
    fields: { ipam: { type: 'ipam-none' } },
    code: 999,
    msg: /^failed to find plugin "ipam-none" in path \[/,
  },
  {
    what: 'an IPAM plugin with a slash',
    fields: { ipam: { type: '../bin/sh' } },
    code: 999,
    msg: /^(?:invalid plugin name|failed to find plugin)/,
  },
  {
    what: 'a namespace path that is not there',
    environment: { CNI_NETNS: '/nowhere' },
    code: 8,
    msg: /"\/nowhere"/,
  },
  {
    what: 'a namespace path that is a directory',
    environment: { CNI_NETNS: '/tmp' },
    code: 8,
    msg: /"\/tmp"/,
  },
  {
    what: 'a namespace path that is a file',
    environment: { CNI_NETNS: '/etc/passwd' },
    code: 8,
    msg: /"\/etc\/passwd"/,
  },
  {
    what: 'a namespace of another kind',
    environment: { CNI_NETNS: '/proc/self/ns/uts' },
    code: 8,
    msg: /uts/,
  },
  {
    what: 'a namespace path through a file',
    environment: { CNI_NETNS: '/etc/passwd/x' },
    code: 8,
    msg: /passwd\/x/,
  },
]
