// `podwire doctor`: on a node that is well, nothing is found; of each thing that is broken, that and its remedy.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Test, test } from 'tap'
import { IpAddress } from '../../../lib/ip/address.ts'
import { Prefix } from '../../../lib/ip/prefix.ts'
import { allocate } from '../../../lib/ipam/allocator.ts'
import { MemoryLeaseStore } from '../../../lib/ipam/lease-store-memory.ts'
import { parseRangeSets } from '../../../lib/ipam/range-set.ts'
import { iifname } from '../../../lib/nftables/field.ts'
import { podwireTable } from '../../../lib/nftables/masquerade-rules.ts'
import { accept, equals, returnVerdict } from '../../../lib/nftables/statement.ts'
import { StoreError } from '../../../lib/state/store-error.ts'
import { Disk } from '../disk.ts'
import { makeNode, NETCONF, type TestNode, type TestNodeOptions } from '../node.fixture.ts'
import { PLAIN } from '../style.ts'
import { doctor, EXAMINATIONS } from './doctor.ts'
import { KERNEL } from './kernel.ts'
import { patientOf } from './patient.ts'

const MOUNTS = `1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw
2 1 0:5 / /run rw,nosuid,noexec - tmpfs tmpfs rw
3 1 0:6 / /proc rw,nosuid,noexec - proc proc rw
`
const CONFLIST = '/etc/cni/net.d/10-net.conflist'
const BIN = '/opt/cni/bin'

interface Host extends TestNode {
  readonly root: string
  /** Writes below the root of the node's files. */
  write(path: string, text: string, mode?: number): void
  link(path: string, target: string): void
  remove(path: string): void
  /** As text, the quiet way: only what is wrong. */
  look(): Promise<{ stdout: string; exitStatus: number }>
}

/** A node with one pod, plugins and a configuration. */
async function makeHost(t: Test, options: TestNodeOptions = {}): Promise<Host> {
  const root = t.testdir({})
  const node = makeNode({ ...options, about: { executable: join(root, 'podwire'), ...options.about } })
  const place = (path: string) => {
    mkdirSync(dirname(root + path), { recursive: true })
    return root + path
  }
  const host: Host = {
    ...node,
    root,
    write: (path, text, mode = 0o644) => {
      writeFileSync(place(path), text)
      chmodSync(root + path, mode)
    },
    link: (path, target) => symlinkSync(target, place(path)),
    remove: (path) => rmSync(root + path, { recursive: true }),
    look: async () => {
      const places = { confDir: undefined, binDir: undefined, socket: undefined }
      const patient = await patientOf(node.about, places, new Disk(root))
      return doctor(patient, {
        isJson: false,
        isQuiet: true,
        isTerminal: false,
        columns: Number.POSITIVE_INFINITY,
        style: PLAIN,
        progress: () => undefined,
      })
    },
  }
  host.write('/proc/self/mountinfo', MOUNTS)
  host.write('/run/podwire/attachments.db', '')
  host.write(`${BIN}/podwire`, 'x', 0o755)
  host.write(`${BIN}/test-ipam`, 'x', 0o755)
  host.link(`${BIN}/cni-bridge`, 'podwire')
  host.write(CONFLIST, JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins: [NETCONF] }))
  return host
}

interface Row {
  readonly title: string
  readonly when: string
  readonly options?: TestNodeOptions
  /** Without a pod. */
  readonly empty?: true
  readonly spoil: (host: Host) => unknown
  readonly found: RegExp
  readonly remedy: RegExp
  readonly exitStatus: 1 | 2
}

const addUplink = async ({ scene }: Host, { name = 'up0', mtu = 1400, metric = 0 } = {}) => {
  const { rtnl } = scene.kernel.host
  const peer = { name: `${name}p` }
  await rtnl.apply({ change: 'create link', link: { kind: 'veth', name, mtu, up: true, peer } })
  const { index: dev } = await rtnl.getLink(name)
  const dst = Prefix.parse('0.0.0.0/0')
  await rtnl.apply({ change: 'add route', route: { dst, dev, priority: metric } })
  return dev
}

const set = ({ scene }: Host, key: string, value: string) => scene.kernel.host.sysctl.announce(key, value)

/** A closed network, br0, where upstream's firewall has closed another, and has one pod. */
async function closeAsUpstream(host: Host) {
  host.link(`${BIN}/firewall`, 'podwire')
  const plugins = [NETCONF, { type: 'firewall', ingressPolicy: 'same-bridge' }]
  host.write(CONFLIST, JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins }))
  const table = { family: 'ip', name: 'filter' } as const
  const [pods, closed] = ['CNI-FORWARD', 'CNI-ISOLATION-STAGE-1'].map((name) => ({ table, name }))
  if (pods === undefined || closed === undefined) throw new Error('there are two')
  await host.scene.kernel.host.nft.apply([
    { verb: 'add', table },
    ...[pods, closed].map((chain) => ({ verb: 'add', chain }) as const),
    { verb: 'add', rule: { chain: closed, body: [equals(iifname, '"br1"'), returnVerdict] } },
    ...[returnVerdict, accept].map((one) => ({ verb: 'add', rule: { chain: pods, body: [one] } }) as const),
  ])
  return { pods, closed }
}

/** A range of two addresses, both of them taken. */
function fullLeases(): MemoryLeaseStore {
  const store = new MemoryLeaseStore('boot-1')
  const sets = parseRangeSets({ subnet: '10.1.0.0/30', gateway: '10.1.0.1' })
  const lease = { network: 'net', containerId: 'web', ifname: 'eth0', podNamespace: 'demo', podName: 'web' }
  store.transaction((tx) => allocate(tx, { ...lease, sets, nowMs: 1 }))
  return store
}

const ROWS: readonly Row[] = [
  {
    title: 'kernel: veth, bridge',
    when: 'the kernel has no veth',
    options: { kernel: { missing: ['link veth'] } },
    empty: true,
    spoil: () => undefined,
    found: /no links of kind veth/,
    remedy: /modprobe veth; else CONFIG_VETH=m/,
    exitStatus: 2,
  },
  {
    title: 'kernel: nf_tables',
    when: 'the kernel has none',
    options: { kernel: { nftables: 'none' } },
    empty: true,
    spoil: () => undefined,
    found: /list tables: E/,
    remedy: /CONFIG_NF_TABLES/,
    exitStatus: 2,
  },
  {
    title: 'kernel: nf_tables for bridges',
    when: 'the kernel has it for IP only',
    options: { kernel: { nftables: 'no bridge' } },
    spoil: () => undefined,
    found: /add chain bridge podwire-probe/,
    remedy: /CONFIG_NF_TABLES_BRIDGE/,
    exitStatus: 1,
  },
  {
    title: 'kernel: VLANs of bridges',
    when: 'a configuration wants them and bridges cannot',
    options: { kernel: { bridgeVlanFiltering: false } },
    spoil: (host) =>
      host.write(CONFLIST, JSON.stringify({ name: 'net', plugins: [{ ...NETCONF, vlan: 7 }] })),
    found: /a configuration wants it/,
    remedy: /CONFIG_BRIDGE_VLAN_FILTERING/,
    exitStatus: 2,
  },
  {
    title: 'kernel: for other plugins',
    when: 'a configuration limits bandwidth, and the kernel cannot',
    options: { kernel: { missing: ['qdisc tbf'] } },
    spoil: (host) => {
      const plugins = [NETCONF, { type: 'bandwidth' }]
      host.write(CONFLIST, JSON.stringify({ name: 'net', plugins }))
    },
    found: /cni-bandwidth needs qdisc tbf, which the kernel does not have/,
    remedy: /modprobe sch_tbf/,
    exitStatus: 2,
  },
  {
    title: 'forwarding',
    when: 'somebody has switched it off',
    spoil: ({ scene }) => scene.kernel.host.sysctl.set({ key: 'ipv4/ip_forward', value: '0' }),
    found: /net\/ipv4\/ip_forward is 0, and pods have their gateway on this node/,
    remedy: /podwire repair/,
    exitStatus: 2,
  },
  {
    title: 'firewalls of others',
    when: 'Docker drops what is forwarded',
    spoil: ({ scene }) => {
      const table = { family: 'ip', name: 'filter' } as const
      const base = { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' } as const
      return scene.kernel.host.nft.apply([
        { verb: 'add', table },
        { verb: 'add', chain: { table, name: 'FORWARD', base } },
        { verb: 'add', chain: { table, name: 'DOCKER-USER' } },
      ])
    },
    found: /chain ip filter FORWARD \(policy drop\) drops what pods on br0 send out: it is of Docker/,
    remedy: /iptables -I DOCKER-USER -i br0 -j ACCEPT/,
    exitStatus: 2,
  },
  {
    title: 'firewalls of others',
    when: 'upstream’s has pods, and a closed network is new to it',
    spoil: closeAsUpstream,
    found:
      /upstream's firewall \(chain ip filter CNI-FORWARD\), which does not know br0, and pods on it reach/,
    remedy: /restart the pods of closed networks/,
    exitStatus: 1,
  },
  {
    title: 'iptables-legacy',
    when: 'its tables are in use',
    spoil: (host) => host.write('/proc/net/ip_tables_names', 'nat\nfilter\n'),
    found: /iptables-legacy are in use \(nat, filter\)/,
    remedy: /iptables-legacy -S/,
    exitStatus: 1,
  },
  {
    title: 'br_netfilter',
    when: 'it is not loaded, and kube-proxy is there',
    spoil: ({ scene }) => {
      const table = { family: 'ip', name: 'nat' } as const
      return scene.kernel.host.nft.apply([
        { verb: 'add', table },
        { verb: 'add', chain: { table, name: 'KUBE-SERVICES' } },
      ])
    },
    found: /not loaded, and kube-proxy is there/,
    remedy: /modprobe br_netfilter/,
    exitStatus: 1,
  },
  {
    title: 'rp_filter',
    when: 'it is strict, and there are two uplinks',
    spoil: async (host) => {
      await addUplink(host, { mtu: 1500 })
      const dev = await addUplink(host, { name: 'up1', mtu: 1500, metric: 5 })
      const route = { dst: Prefix.parse('::/0'), dev, gateway: IpAddress.parse('fe80::1') }
      await host.scene.kernel.host.rtnl.apply({ change: 'add route', route })
      set(host, 'ipv4/conf/up1/rp_filter', '1')
      host.scene.kernel.host.sysctl.set({ key: 'ipv4/conf/up1/rp_filter', value: '1' })
    },
    found: /it is strict on up1, and there are 2 uplinks/,
    remedy: /sysctl net\.ipv4\.conf\.up1\.rp_filter=2/,
    exitStatus: 1,
  },
  {
    title: 'route_localnet',
    when: 'it is on for the bridge',
    spoil: ({ scene }) => scene.kernel.host.sysctl.set({ key: 'ipv4/conf/br0/route_localnet', value: '1' }),
    found: /on for br0/,
    remedy: /net\.ipv4\.conf\.br0\.route_localnet=0/,
    exitStatus: 1,
  },
  {
    title: 'IPv6 default route',
    when: 'the node learnt it, and hears no more of it',
    spoil: async (host) => {
      const { rtnl, sysctl } = host.scene.kernel.host
      const dev = await addUplink(host, { mtu: 1500 })
      const gateway = IpAddress.parse('fe80::1')
      const route = { dst: Prefix.parse('::/0'), dev, gateway, advertised: true }
      sysctl.set({ key: 'ipv6/conf/up0/forwarding', value: '1' })
      await rtnl.apply({ change: 'add route', route })
    },
    found: /up0 learnt it from a router, forwards, and hears no more of it/,
    remedy: /net\.ipv6\.conf\.up0\.accept_ra=2/,
    exitStatus: 2,
  },
  {
    title: 'MTU',
    when: 'that of pods is larger than the uplink’s',
    spoil: (host) => addUplink(host),
    found: /pods have 1500, up0 by which they reach the world 1400/,
    remedy: /"mtu": "auto"/,
    exitStatus: 1,
  },
  {
    title: 'addresses of bridges',
    when: 'another link has the gateway’s address',
    spoil: async ({ scene }) => {
      const { rtnl } = scene.kernel.host
      await rtnl.apply({ change: 'create link', link: { kind: 'bridge', name: 'docker0', up: true } })
      const { index: dev } = await rtnl.getLink('docker0')
      await rtnl.apply({ change: 'add address', address: { dev, prefix: Prefix.parse('10.1.0.1/16') } })
    },
    found: /br0 and docker0 both have 10\.1\.0\.1|docker0 and br0 both have 10\.1\.0\.1/,
    remedy: /a subnet of its own/,
    exitStatus: 2,
  },
  {
    title: 'addresses of bridges',
    when: 'the network was given another subnet, and the bridge has the old gateway',
    spoil: (host) => {
      const ipam = { type: 'test-ipam', subnet: '10.1.0.128/25' }
      const plugins = [{ ...NETCONF, ipam }]
      host.write(CONFLIST, JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins }))
    },
    found: /br0 has 10\.1\.0\.1\/24, and network net wants 10\.1\.0\.129\/25 there: ADD fails/,
    remedy: /ip addr del 10\.1\.0\.1\/24 dev br0/,
    exitStatus: 2,
  },
  {
    title: 'bridges',
    when: 'the bridge is down',
    spoil: ({ scene }) =>
      scene.kernel.host.rtnl.apply({ change: 'set link', link: 'br0', set: { up: false } }),
    found: /br0 is down, and pods are on it/,
    remedy: /podwire repair/,
    exitStatus: 2,
  },
  {
    title: 'links of other network plugins',
    when: 'flannel was here',
    spoil: ({ scene }) =>
      scene.kernel.host.rtnl.apply({ change: 'create link', link: { kind: 'bridge', name: 'flannel.1' } }),
    found: /flannel\.1: of flannel/,
    remedy: /ip link del flannel\.1/,
    exitStatus: 1,
  },
  {
    title: 'records of attachments',
    when: 'they cannot be written',
    spoil: ({ scene }) => {
      scene.refuse = (operation) => (operation === 'probe the store' ? 'ENOSPC' : undefined)
    },
    found: /write "\/run\/podwire\/attachments\.db": EFULL/,
    remedy: /free space/,
    exitStatus: 2,
  },
  {
    title: 'records of attachments',
    when: 'anybody can change them, and one was damaged',
    spoil: (host) => {
      host.write('/run/podwire/attachments.db.damaged', '')
      host.write('/run/podwire/x', '')
    },
    found: /attachments\.db\.damaged was damaged in an earlier boot/,
    remedy: /smartctl/,
    exitStatus: 1,
  },
  {
    title: 'leases of host-local',
    when: 'those of a network are left that is not configured any more',
    spoil: (host) => {
      host.write('/var/lib/cni/networks/old/10.1.0.9', 'x')
      host.write('/var/lib/cni/networks/old/10.1.0.8', '')
      host.write('/var/lib/cni/networks/old/last_reserved_ip.0', '10.1.0.9')
    },
    found: /\/networks\/old has 2 addresses of upstream's host-local, and no configuration has this network/,
    remedy: /rm -r \/var\/lib\/cni\/networks\/old/,
    exitStatus: 1,
  },
  {
    title: 'attachments',
    when: 'an ADD was killed',
    spoil: ({ scene }) => {
      scene.kernel.addNamespace('/run/netns/x')
      const key = {
        plugin: 'cni-ptp',
        network: 'net',
        containerId: 'x',
        ifname: 'eth0',
        netns: '/run/netns/x',
      }
      const { attachments } = scene.ports
      attachments.put({ ...key, record: {}, bootId: 'boot-1', createdAtMs: 0, isComplete: false })
    },
    found: /x eth0: an ADD of 1970-01-01T00:00:00\.000Z was never finished/,
    remedy: /DEL/,
    exitStatus: 1,
  },
  {
    title: 'CHECK of all attachments',
    when: 'the rules were flushed',
    spoil: ({ scene }) => scene.kernel.host.nft.apply([{ verb: 'delete', table: podwireTable }]),
    found:
      /demo\/web eth0: chain inet podwire postrouting: missing; [^;]*; [^;]*; and \d more, which podwire check tells/,
    remedy: /podwire repair/,
    exitStatus: 2,
  },
  {
    title: 'CHECK of all attachments',
    when: 'the pod’s own interface is gone',
    spoil: ({ scene }) => {
      const pod = scene.kernel.openNamespace('/run/netns/web')
      return pod.rtnl.apply({ change: 'delete link', link: 'eth0' }).finally(() => pod.close())
    },
    found: /demo\/web eth0: host interface \S+ is gone; pod interface eth0 is gone/,
    remedy: /→ restart the pod/,
    exitStatus: 2,
  },
  {
    title: 'left behind by pods',
    when: 'a pod is gone and nobody has told',
    spoil: ({ scene }) => scene.kernel.removeNamespace('/run/netns/web'),
    found:
      /attachment of network net, container web, interface eth0 \(cni-bridge\): its network namespace is gone/,
    remedy: /podwire gc/,
    exitStatus: 1,
  },
  {
    title: 'network configuration',
    when: 'there is none',
    spoil: (host) => host.remove(CONFLIST),
    found: /\/etc\/cni\/net\.d has none/,
    remedy: /podwire install DIR --conflist/,
    exitStatus: 1,
  },
  {
    title: 'network configuration',
    when: 'the first file is no JSON',
    spoil: (host) => host.write('/etc/cni/net.d/01-x.conf', '{'),
    found: /01-x\.conf: it is no JSON/,
    remedy: /correct or remove it/,
    exitStatus: 2,
  },
  {
    title: 'network configuration',
    when: 'somebody else’s comes first',
    spoil: (host) => host.write('/etc/cni/net.d/01-x.conf', '{"name":"x","type":"podwire"}'),
    found: /01-x\.conf, the first, names no plugin of Podwire/,
    remedy: /remove it/,
    exitStatus: 1,
  },
  {
    title: 'plugins',
    when: 'the IPAM plugin is not there, and a link leads nowhere',
    spoil: (host) => {
      host.remove(`${BIN}/test-ipam`)
      host.link(`${BIN}/bridge`, 'podwire-shim')
    },
    found: /a configuration names test-ipam, which is in none of \/opt\/cni\/bin, \/usr\/lib\/cni/,
    remedy: /install the plugin, or take it out of the configuration/,
    exitStatus: 2,
  },
  {
    title: 'plugins',
    when: 'a name of ours is missing beside the shim',
    spoil: (host) => {
      host.remove(`${BIN}/cni-bridge`)
      host.write(`${BIN}/podwire-shim`, 'x', 0o755)
    },
    found: /a configuration names cni-bridge, which is in none/,
    remedy: /→ podwire install \/opt\/cni\/bin --shim$/,
    exitStatus: 2,
  },
  {
    title: 'mounts',
    when: 'plugins are on a file system without execution',
    spoil: (host) =>
      host.write('/proc/self/mountinfo', `${MOUNTS}4 1 8:2 / /opt rw,noexec - ext4 /dev/sdb rw\n`),
    found: /\/opt, where \/opt\/cni\/bin is, is mounted noexec/,
    remedy: /remount,exec \/opt/,
    exitStatus: 2,
  },
  {
    title: 'mounts',
    when: 'sysctls cannot be set, and there is no place for addons',
    spoil: (host) => {
      const ro = '4 1 8:1 / / ro,relatime - ext4 /dev/sda1 ro\n5 3 0:6 /sys /proc/sys ro - proc proc rw\n'
      host.write('/proc/self/mountinfo', MOUNTS + ro)
    },
    found: /\/proc\/sys is mounted read-only here/,
    remedy: /privileged/,
    exitStatus: 2,
  },
  {
    title: 'daemon',
    when: 'the shim is installed and it does not run',
    spoil: (host) => host.link(`${BIN}/host-local`, 'podwire-shim'),
    found: /none at \/nonexistent\/podwire\.sock: the shim is installed/,
    remedy: /systemctl start podwire/,
    exitStatus: 1,
  },
  {
    title: 'STATUS',
    when: 'the pool is empty',
    spoil: (host) => {
      host.write(CONFLIST, JSON.stringify({ cniVersion: '1.1.0', name: 'net', plugins: [NETCONF] }))
      return host.attach('api')
    },
    found: /cni-bridge: no addresses left \(code 50\)/,
    remedy: /a larger range/,
    exitStatus: 2,
  },
]

test('doctor finds nothing on a node that is well', async (t) => {
  const host = await makeHost(t)
  await host.attach('web')
  t.same(await host.look(), { stdout: `${EXAMINATIONS.length} examinations, all is well\n`, exitStatus: 0 })
  t.strictSame(host.scene.kernel.openHandles(), [], 'namespaces are closed')
  t.notMatch(host.scene.dump(), /probe/, 'and it leaves nothing')
})

test('doctor does not call a network unused that has pods, or is podman’s or nerdctl’s', async (t) => {
  const host = await makeHost(t)
  await host.attach('web')
  const file = (name: string, content: object) => {
    const text = JSON.stringify({ cniVersion: '0.4.0', name, plugins: [NETCONF], ...content })
    host.write(`/etc/cni/net.d/${name}.conflist`, text)
  }
  file('05-first', {})
  file('one', { plugins: [{ ...NETCONF, bridge: 'cni-podman1' }] })
  file('three', { args: { podman_labels: { app: 'x' } } })
  file('two', { args: { podman_options: { isolate: '1' } } })
  file('nerdctl-x', { nerdctlID: '17f29b', nerdctlLabels: {} })
  t.match(await host.look(), { exitStatus: 0, stdout: /all is well/ })
  file('unused', {})
  file('unused-too', { args: {} })
  t.match(await host.look(), {
    exitStatus: 1,
    stdout:
      /05-first\.conflist is what runtimes use; unused-too\.conflist, unused\.conflist are there, too\n/,
  })
})

test('doctor does not mind upstream’s firewall when its pods are gone, or it knows the bridge', async (t) => {
  for (const what of ['gone', 'known']) {
    const host = await makeHost(t)
    await host.attach('web')
    const { pods, closed } = await closeAsUpstream(host)
    const { nft } = host.scene.kernel.host
    const known = { chain: closed, body: [equals(iifname, '"br0"'), returnVerdict] }
    await nft.apply([what === 'gone' ? { verb: 'flush', chain: pods } : { verb: 'add', rule: known }])
    t.match(await host.look(), { exitStatus: 0, stdout: /all is well/ }, what)
  }
})

test('doctor finds little on a node that has nothing yet', async (t) => {
  const host = await makeHost(t)
  host.remove('/etc')
  host.remove('/opt')
  t.match(await host.look(), {
    exitStatus: 1,
    stdout: /^warning {2}network configuration .*\n.*\n.*: 1 warning\n$/,
  })
})

for (const { title, when, options, empty, spoil, found, remedy, exitStatus } of ROWS) {
  test(`doctor finds what is wrong with ${title} when ${when}`, async (t) => {
    const host = await makeHost(t, options)
    if (empty === undefined) await host.attach('web')
    await spoil(host)
    const answer = await host.look()
    const lines = answer.stdout.split('\n')
    const index = lines.findIndex((line) => line.slice(9).startsWith(`${title}  `) && found.test(line))
    t.ok(index >= 0, answer.stdout)
    t.match(lines[index + 1] ?? '', remedy)
    t.match(lines[index + 1] ?? '', /^ +→ /)
    t.equal(answer.exitStatus, exitStatus, answer.stdout)
  })
}

test('doctor asks no STATUS of an IPAM plugin of somebody else that may not know it', async (t) => {
  for (const type of ['cni-bridge', 'cni-ptp', 'cni-dummy']) {
    const host = await makeHost(t)
    host.link(`${BIN}/${type === 'cni-bridge' ? 'x' : type}`, 'podwire')
    await host.attach('web')
    await host.attach('api')
    const { ipam } = NETCONF
    const plugins = [type === 'cni-bridge' ? NETCONF : { type, ipam }]
    host.write(CONFLIST, JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins }))
    t.notMatch((await host.look()).stdout, /STATUS/, type)
  }
})

test('doctor warns of a range that is used up', async (t) => {
  const host = await makeHost(t, { leases: fullLeases() })
  host.write('/leases/podwire-leases.db', '')
  const ipam = { ...NETCONF.ipam, dataDir: `${host.root}/leases` }
  host.write(CONFLIST, JSON.stringify({ name: 'net', plugins: [{ ...NETCONF, ipam }] }))
  const { stdout, exitStatus } = await host.look()
  t.equal(exitStatus, 2)
  t.match(
    stdout,
    /trouble {2}free addresses .*1 of 1 addresses of network net .* are in use, demo\/web has one longest/,
  )
})

class FullStore extends MemoryLeaseStore {
  override probe(): void {
    const remedy = 'free space'
    throw new StoreError('EFULL', { operation: 'write', path: '/x.db', why: 'no space', remedy })
  }
}

test('doctor tells of leases that cannot be written', async (t) => {
  const host = await makeHost(t, { leases: new FullStore('boot-1') })
  host.write('/leases/podwire-leases.db', '')
  const ipam = { ...NETCONF.ipam, dataDir: `${host.root}/leases` }
  host.write(CONFLIST, JSON.stringify({ name: 'net', plugins: [{ ...NETCONF, ipam }] }))
  const { stdout, exitStatus } = await host.look()
  t.equal(exitStatus, 2)
  t.match(stdout, /^trouble {2}leases +write "\/x\.db": EFULL: no space\n +→ free space$/m)
})

const DAEMON = { version: '1.2.3', pid: 7, ready: true, leftToCaller: {} }

const DAEMONS: readonly [what: string, daemon: object, isShim: boolean, found: RegExp | undefined][] = [
  ['serves', DAEMON, true, undefined],
  [
    'is of another version',
    { ...DAEMON, version: '1.2.2' },
    true,
    /pid 7 is version 1\.2\.2, this is 1\.2\.3/,
  ],
  ['does not serve', { ...DAEMON, ready: false }, true, /pid 7 at .* does not serve/],
  ['is asked by nobody', DAEMON, false, /it runs, and nobody asks it/],
  [
    'leaves calls to the shim',
    { ...DAEMON, leftToCaller: { 'no place': 2 } },
    true,
    /it left 2 calls to the shim: no place\n +→ run it where/,
  ],
  [
    'is older than a store',
    { ...DAEMON, leftToCaller: { 'open "/x": ENEWER: its schema': 1 } },
    true,
    /it left 1 call to the shim: .*\n +→ .*systemctl restart podwire/,
  ],
]

for (const [what, daemon, isShim, found] of DAEMONS) {
  test(`doctor looks at a daemon that ${what}`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'podwire-')) // a socket's path is short
    t.teardown(() => rmSync(directory, { recursive: true }))
    const socket = join(directory, 'd.sock')
    const server = createServer((_, response) => response.end(JSON.stringify(daemon)))
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    t.teardown(() => server.close())
    const host = await makeHost(t, { about: { environment: { PODWIRE_SOCKET: socket } } })
    if (isShim) {
      host.write(`${BIN}/podwire-shim`, 'x', 0o755)
      host.link(`${BIN}/bridge`, 'podwire-shim')
    }
    const { stdout } = await host.look()
    if (found === undefined) t.match(stdout, /all is well/)
    else t.match(stdout, new RegExp(`^(?:warning|trouble) +daemon +${found.source}`, 'm'))
  })
}

test('doctor warns of a kernel that does not list connections', async (t) => {
  const node = makeNode()
  const { host } = node.scene.kernel
  host.sysctl.announce('netfilter/nf_conntrack_count', '5')
  const flush = () => Promise.reject(Object.assign(new Error('no'), { code: 'EOPNOTSUPP' }))
  const kernel = { host: { sysctl: host.sysctl, conntrack: { flush } } }
  const [examination] = KERNEL.filter(({ title }) => title === 'kernel: conntrack by netlink')
  const findings = await examination?.examine({ ports: { kernel } } as never)
  t.match(findings, [{ level: 'warning', remedy: /CONFIG_NF_CT_NETLINK/ }])
})

test('every examination has a row', async (t) => {
  const rows = new Set(ROWS.map(({ title }) => title))
  const inTheirOwn = ['kernel: conntrack by netlink', 'leases', 'free addresses']
  for (const { title } of EXAMINATIONS) t.ok(rows.has(title) || inTheirOwn.includes(title), title)
})

test('doctor goes on when something cannot be looked at', async (t) => {
  const host = await makeHost(t)
  host.scene.refuse = (operation) => (operation === 'list addresses' ? 'EPERM' : undefined)
  const { stdout, exitStatus } = await host.look()
  t.equal(exitStatus, 2)
  t.match(stdout, /^trouble {2}addresses of bridges +could not be looked at: list addresses: EPERM/)
})

test('doctor tells programs all that it looked at', async (t) => {
  const { podwire } = makeNode()
  const places = ['--conf-dir', '/nonexistent', '--bin-dir', '/nonexistent']
  const { stdout, exitStatus } = await podwire('doctor', '-o', 'json', ...places)
  t.ok(exitStatus >= 1)
  const reports = JSON.parse(stdout) as { title: string; findings: object[] }[]
  t.strictSame(
    reports.map(({ title }) => title),
    EXAMINATIONS.map(({ title }) => title),
  )
  t.match(reports.find(({ title }) => title === 'network configuration')?.findings, [
    { level: 'warning', evidence: '/nonexistent has none: no runtime starts pods' },
  ])
})
