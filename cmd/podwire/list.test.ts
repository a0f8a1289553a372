import { test } from 'tap'

import { makeNode } from './node.fixture.ts'

/** web and api are attached, api with a chained plugin; one ADD was killed, and the pod of one record is gone. */
async function makeBusyNode() {
  const node = makeNode()
  const { scene } = node
  for (const name of ['web', 'api']) {
    await node.attach(name)
    scene.nowMs += 60_000
  }
  const at = { network: 'net', ifname: 'eth0', bootId: 'boot-1', createdAtMs: scene.nowMs }
  const { attachments } = scene.ports
  const chained = {
    ...at,
    plugin: 'cni-tuning',
    containerId: 'api',
    netns: '/run/netns/api',
    isComplete: true,
  }
  attachments.put({ ...chained, record: { sysctls: [] } })
  scene.kernel.addNamespace('/run/netns/killed')
  const other = { ...at, network: 'other', plugin: 'cni-ptp', record: { hostIfname: 'veth9', mtu: 1400 } }
  attachments.put({ ...other, containerId: 'killed', netns: '/run/netns/killed', isComplete: false })
  const longId = '0123456789abcdef'.repeat(4)
  attachments.put({ ...other, containerId: longId, netns: '/run/netns/gone', isComplete: true })
  return node
}

const TABLE = `NAMESPACE  POD  CONTAINER      INTERFACE  ADDRESSES           HOST          NETWORK  STATE       AGE  PLUGIN
-          -    0123456789abc  eth0       -                   veth9         other    gone        0s   cni-ptp
-          -    killed         eth0       -                   veth9         other    incomplete  0s   cni-ptp
demo       api  api            eth0       10.1.0.6,fd00:1::6  HOST1         net      attached    60s  cni-bridge +1
demo       web  web            eth0       10.1.0.5,fd00:1::5  HOST2         net      attached    2m   cni-bridge
`

test('podwire list has a row for each interface of a pod', async (t) => {
  const { podwire } = await makeBusyNode()
  const { stdout, exitStatus } = await podwire('list')
  const hosts = [...stdout.matchAll(/veth[0-9a-f]{8}/g)].map(([name]) => name)
  t.equal(exitStatus, 0)
  t.equal(new Set(hosts).size, 2)
  t.equal(stdout.replace(hosts[0] ?? '', 'HOST1       ').replace(hosts[1] ?? '', 'HOST2       '), TABLE)
})

const ROWS: readonly [words: string[], names: string[]][] = [
  [[], ['killed', 'demo/api', 'demo/web']],
  [
    ['--network', 'net'],
    ['demo/api', 'demo/web'],
  ],
  [['--pod', 'web'], ['demo/web']],
  [['--pod', 'demo/web'], ['demo/web']],
  [['--pod', 'other/web'], []],
  [['--container', 'kil'], ['killed']],
  [['--container', 'w', '--network', 'other'], []],
]

for (const [words, names] of ROWS) {
  test(`podwire list -o name tells [${names.join(' ')}] when asked for ${words.join(' ') || 'all'}`, async (t) => {
    const { podwire } = await makeBusyNode()
    const { stdout } = await podwire('list', '-o', 'name', ...words)
    t.strictSame(
      stdout.split('\n').filter((name) => name !== '' && name.length < 64),
      names,
    )
  })
}

test('podwire list names the filter that nothing passes', async (t) => {
  const { podwire } = makeNode({})
  const words = ['--network', 'nope', '--pod', 'web']
  t.equal((await podwire('list', ...words)).stdout, 'nothing of network nope and pod web is attached\n')
})

test('podwire list says so when nothing is attached, and programs get an empty list', async (t) => {
  const { podwire } = makeNode()
  t.equal((await podwire('list')).stdout, 'nothing is attached\n')
  t.equal((await podwire('list', '-o', 'json')).stdout, '[]\n')
  t.equal((await podwire('list', '-o', 'yaml')).stdout, '[]\n')
})

const YAML = `- pod:
    namespace: demo
    name: web
  container: web
  network: net
  interface: eth0
  addresses:
    - "10.1.0.5/24"
    - "fd00:1::5/64"
  mac: "0a:58:0a:01:00:05"
  mtu: 1500
  host:
    interface: VETH
    bridge: br0
  netns: /run/netns/web
  state: attached
  createdAt: "1970-01-01T00:16:40.000Z"
  plugins:
    - cni-bridge
`

test('podwire list tells programs the same as JSON and as YAML', async (t) => {
  const { podwire } = await makeBusyNode()
  const yaml = (await podwire('list', '--pod', 'web', '-o', 'yaml')).stdout
  t.equal(yaml.replace(/veth[0-9a-f]{8}/, 'VETH'), YAML)
  const [web] = JSON.parse((await podwire('list', '--pod', 'web', '-o', 'json')).stdout)
  t.match(web, { pod: { namespace: 'demo', name: 'web' }, mtu: 1500, plugins: ['cni-bridge'] })
})

test('podwire list has whole ids, MACs and namespaces when it is wide', async (t) => {
  const { podwire } = await makeBusyNode()
  const { stdout } = await podwire('list', '-o', 'wide')
  t.match(stdout, /PLUGINS +MAC +MTU +NETNS\n/)
  t.match(stdout, / (?:0123456789abcdef){4} .*cni-ptp +- +1400 +\/run\/netns\/gone\n/)
  t.match(stdout, /cni-bridge,cni-tuning +0a:58:0a:01:00:06 +1500 +\/run\/netns\/api\n/)
})

test('no name moves a terminal’s cursor, whatever the command and the format', async (t) => {
  const { podwire, scene, attach } = makeNode({ about: { isTerminal: true, columns: 80 } })
  const hostile = 'a\u001b[2J\u009b2J\u202e\r\nfake'
  await attach('web')
  const [first] = scene.ports.attachments.list()
  if (first === undefined) throw new Error('nothing is attached')
  scene.ports.attachments.put({
    ...first,
    podName: hostile,
    podNamespace: hostile,
    ifname: 'e\u001b[2J',
    netns: hostile,
  })
  const words = [
    ['list'],
    ['list', '-o', 'wide'],
    ['list', '-o', 'name'],
    ['list', '-o', 'json'],
    ['list', '-o', 'yaml'],
  ]
  for (const command of [
    ...words,
    ['show', 'web'],
    ['show', 'web', '-o', 'json'],
    ['check'],
    ['status'],
    ['list', '--pod', hostile],
    ['show', hostile],
    ['trace', 'web', hostile],
    ['repair'],
    ['gc', '--dry-run'],
  ]) {
    const { stdout, stderr } = await podwire(...command)
    const text = `${stdout}${stderr}`
    t.notMatch(text.replaceAll(/(?!\n)\p{Cc}\[\d+m/gu, ''), /(?!\n)[\p{Cc}\p{Cf}]/u, command.join(' '))
    t.notMatch(text, /^fake/m, command.join(' '))
  }
  const { stdout } = await podwire('list', '-o', 'json')
  t.match(JSON.parse(stdout), [{ pod: { name: hostile } }], 'programs get it as it is')
})
