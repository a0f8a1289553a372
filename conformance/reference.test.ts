// The examples of docs/reference, as a runtime would run them: each works from ADD to DEL, and what the page says comes of it.

import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { ALL_REFERENCES } from '../cmd/podwire/references.ts'
import type { PluginConfig } from '../lib/cni/reference.ts'
import { podwire } from './harness/contestant.ts'
import { shimmed } from './harness/daemon.ts'
import { type Namespace, TestNode } from './harness/node.ts'
import { DEADLINE_MS } from './harness/play-area.ts'
import { callPlugin } from './harness/plugin.ts'

root.setTimeout(DEADLINE_MS)

interface Sight {
  readonly on: 'node' | 'pod'
  readonly command: string
  readonly shows: RegExp
}

const OUTCOMES: Readonly<Record<string, Sight>> = {
  'cni-bandwidth': { on: 'node', command: 'tc qdisc', shows: /tbf .*rate 100Mbit/ },
  'cni-bridge': { on: 'pod', command: 'ip route', shows: /^default via 10\.244\.1\.1 dev eth0/ },
  'cni-dummy': { on: 'pod', command: 'ip addr show eth0', shows: /inet 10\.9\.0\.1\/32/ },
  'cni-firewall': { on: 'node', command: 'nft list table inet podwire', shows: /10\.244\.1\.2/ },
  'cni-host-device': { on: 'pod', command: 'ip addr show eth0', shows: /inet 192\.0\.2\.20\/24/ },
  'cni-ipvlan': { on: 'pod', command: 'ip -d link show eth0', shows: /ipvlan +mode l2/ },
  'cni-loopback': { on: 'pod', command: 'ip addr show lo', shows: /inet 127\.0\.0\.1\/8[\s\S]*inet6 ::1/ },
  'cni-macvlan': { on: 'pod', command: 'ip -d link show eth0', shows: /macvlan mode bridge/ },
  'cni-portmap': {
    on: 'node',
    command: 'nft list table inet podwire',
    shows: /tcp \. 8080[^:]*: 10\.244\.1\.2 \. 80/,
  },
  'cni-ptp': { on: 'pod', command: 'ip link show eth0', shows: /mtu 1400/ },
  'cni-sbr': {
    on: 'pod',
    command: 'ip route show table 100',
    shows: /^default via 10\.244\.1\.1 .*src 10\.244\.1\.2/,
  },
  'cni-tuning': { on: 'pod', command: 'ip link show eth0', shows: /mtu 1400 .*qlen 500/ },
  'cni-vlan': { on: 'pod', command: 'ip -d link show eth0', shows: /vlan protocol 802\.1Q id 7/ },
  'cni-vrf': { on: 'pod', command: 'ip link show eth0', shows: /master blue/ },
  'ipam-host-local': {
    on: 'pod',
    command: 'ip addr show eth0',
    shows: /inet 10\.244\.1\.10\/24[\s\S]*inet6 fd00:10:244:1::2\/64/,
  },
  'ipam-static': { on: 'pod', command: 'ip -6 route', shows: /default via fd00:1::1 dev eth0/ },
}

/** With a daemon, since the many calls then take a tenth of the time; with eth0 and eth1, and a default route. */
const node = await TestNode.create(shimmed())
root.teardown(() => node.remove())
await node.addOutside()
await node.must('ip', 'route', 'add', 'default', 'via', '192.0.2.2')
await node.must('ip', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'peer1')

for (const { name, example } of ALL_REFERENCES) {
  test(`the example of ${name} works`, { timeout: DEADLINE_MS }, async (t) => {
    const pod = await node.addPod(name)
    const ifname = name === 'cni-loopback' ? 'lo' : 'eth0'
    const plugins = example.map((plugin) => withDataDir(plugin, join(node.dataDir, name)))
    let prevResult: unknown
    const call = (command: string, plugin: PluginConfig) => {
      const config = { cniVersion: '1.0.0', name: 'pods', ...plugin, prevResult }
      return callPlugin(node, { type: plugin.type, command, pod, config, ifname })
    }
    for (const plugin of plugins) {
      const { status, stdout } = await call('ADD', plugin)
      const [missing] = /this kernel has no links of kind \w+/.exec(stdout) ?? []
      if (missing !== undefined) return t.ok(true, missing, { skip: missing })
      t.equal(status, 0, `ADD of ${plugin.type}: ${stdout}`)
      prevResult = JSON.parse(stdout)
    }
    await looksAt(t, name, pod)
    for (const plugin of plugins) t.match(await call('CHECK', plugin), { status: 0, stdout: '' })
    for (const plugin of plugins.toReversed()) t.match(await call('DEL', plugin), { status: 0, stdout: '' })
    t.strictSame(
      podwire.listAttachments(node.stateDir).filter((text) => text.includes(name)),
      [],
    )
  })
}

/** The machine has leases of its own. */
function withDataDir(plugin: PluginConfig, dataDir: string): PluginConfig {
  const ipam = plugin['ipam'] as PluginConfig | undefined
  return ipam?.type === 'ipam-host-local' ? { ...plugin, ipam: { ...ipam, dataDir } } : plugin
}

async function looksAt(t: Test, name: string, pod: Namespace): Promise<void> {
  const { on, command, shows } = OUTCOMES[name] ?? { on: 'node', command: 'true', shows: /what comes of it/ }
  const { stdout } = await node.exec(command.split(' '), on === 'pod' ? { inside: pod } : {})
  t.match(stdout, shows, command)
}
