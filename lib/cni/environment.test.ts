import { test } from 'tap'
import { readEnvironment } from './environment.ts'

const full = {
  CNI_CONTAINERID: 'c-1',
  CNI_NETNS: '/run/netns/x',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: 'A=1',
  CNI_PATH: '/opt/cni/bin::/usr/lib/cni',
}

test('readEnvironment names every missing variable of a command at once', async (t) => {
  for (const [command, missing] of [
    ['ADD', 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH'],
    ['CHECK', 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH'],
    ['DEL', 'CNI_CONTAINERID,CNI_IFNAME,CNI_PATH'],
    ['GC', 'CNI_PATH'],
    ['STATUS', 'CNI_PATH'],
  ]) {
    const expected = { code: 4, message: `required env variables [${missing}] missing` }
    t.throws(() => readEnvironment({ CNI_COMMAND: command, CNI_NETNS: '' }), expected)
  }
  t.equal(readEnvironment({ CNI_COMMAND: 'VERSION' }).command, 'VERSION')
  t.equal(readEnvironment({ CNI_COMMAND: 'NONSENSE' }).command, 'NONSENSE')
})

test('readEnvironment refuses invalid values before it looks for missing ones', async (t) => {
  const space = 'interface name contains / or : or whitespace characters'
  for (const [name, value, message, details] of [
    ['CNI_CONTAINERID', '-a', 'invalid characters in containerID', '-a'],
    ['CNI_CONTAINERID', 'a/b', 'invalid characters in containerID', 'a/b'],
    ['CNI_CONTAINERID', 'a\n', 'invalid characters in containerID', 'a\n'],
    [
      'CNI_IFNAME',
      '1234567890123456',
      'interface name is too long',
      'interface name should be less than 16 characters',
    ],
    [
      'CNI_IFNAME',
      'äöüäöüäö',
      'interface name is too long',
      'interface name should be less than 16 characters',
    ],
    ['CNI_IFNAME', '.', 'interface name is . or ..', ''],
    ['CNI_IFNAME', '..', 'interface name is . or ..', ''],
    ['CNI_IFNAME', 'a/b', space, ''],
    ['CNI_IFNAME', 'a:b', space, ''],
    ['CNI_IFNAME', 'a b', space, ''],
    ['CNI_IFNAME', 'a\u0085', space, ''],
    ['CNI_IFNAME', 'a\u3000', space, ''],
    ...['eth%d', '%', '\u001b[2J', 'a\u009b', 'a\u007f'].map(
      (name) => ['CNI_IFNAME', name, 'interface name contains % or control characters', ''] as const,
    ),
  ] as const) {
    const environment = { CNI_COMMAND: 'ADD', [name]: value }
    t.throws(() => readEnvironment(environment), { code: 4, message, details }, JSON.stringify(value))
  }
})

test('readEnvironment takes the longest and strangest names that are valid', async (t) => {
  for (const ifname of ['123456789012345', 'a\ufeffb', 'a.b', '...']) {
    t.equal(readEnvironment({ ...full, CNI_COMMAND: 'ADD', CNI_IFNAME: ifname }).ifname, ifname)
  }
  t.equal(readEnvironment({ ...full, CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'A0_.-z' }).containerId, 'A0_.-z')
})

test('readEnvironment gives each command what it has', async (t) => {
  const rest = { args: 'A=1', path: ['/opt/cni/bin', '/usr/lib/cni'], netnsOverride: false }
  const attachment = { containerId: 'c-1', netns: '/run/netns/x', ifname: 'eth0' }
  const none = { containerId: '', netns: '', ifname: '' }
  for (const command of ['ADD', 'CHECK', 'DEL']) {
    t.same(readEnvironment({ ...full, CNI_COMMAND: command }), { command, ...attachment, ...rest }, command)
  }
  for (const command of ['GC', 'STATUS']) {
    const environment = { ...full, CNI_CONTAINERID: '!', CNI_IFNAME: '/', CNI_COMMAND: command }
    t.same(readEnvironment(environment), { command, ...none, ...rest }, command)
  }
})

test('readEnvironment takes CNI_NETNS_OVERRIDE as upstream does', async (t) => {
  for (const [value, override] of [
    ['1', true],
    ['true', true],
    ['TRUE', true],
    ['yes', false],
    ['0', false],
  ] as const) {
    const environment = { ...full, CNI_COMMAND: 'ADD', CNI_NETNS_OVERRIDE: value }
    t.equal(readEnvironment(environment).netnsOverride, override, value)
  }
})
