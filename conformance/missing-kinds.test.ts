// Plugins of links that a kernel may be built without, executed on this one: they work, or are refused with what it
// takes, and nothing is left.

import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { t as root, test } from 'tap'
import { makeNamespace } from '../lib/testing/netns.ts'
import { DEADLINE_MS } from './harness/play-area.ts'

root.setTimeout(DEADLINE_MS)

const BIN = resolve(import.meta.dirname, '../dist/bin')
const IPAM = { type: 'ipam-static', addresses: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }] }
const KINDS = [
  { kind: 'macvlan', config: { master: 'up0', ipam: IPAM } },
  { kind: 'ipvlan', config: { master: 'up0', ipam: IPAM } },
  { kind: 'vlan', config: { master: 'up0', vlanId: 7, ipam: IPAM } },
  { kind: 'dummy', config: { ipam: IPAM } },
  { kind: 'vrf', config: { vrfname: 'blue' }, ifname: 'eth0' },
] as const

for (const { kind, config, ifname = 'net1' } of KINDS.map((row) => ({ ifname: undefined, ...row }))) {
  test(`cni-${kind} works, or says what kernel it takes`, { timeout: DEADLINE_MS }, async (t) => {
    const [node, pod] = [makeNamespace(t, 'node'), makeNamespace(t, 'pod')]
    node.run('ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.name)
    node.run('ip', 'link', 'set', 'up0', 'up')
    pod.run('ip', 'link', 'set', 'eth0', 'up')
    const hasKind = await node.rtnl.hasFeature(`link ${kind}`)
    const state = t.testdir({})
    const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: pod.path }] }
    const call = (command: string, more: object = {}) => {
      const { status, stdout } = spawnSync('ip', ['netns', 'exec', node.name, `${BIN}/cni-${kind}`], {
        input: JSON.stringify({ cniVersion: '1.1.0', name: 'net', type: `cni-${kind}`, ...config, ...more }),
        encoding: 'utf8',
        env: {
          CNI_COMMAND: command,
          CNI_CONTAINERID: 'c1',
          CNI_NETNS: pod.path,
          CNI_IFNAME: ifname,
          CNI_PATH: BIN,
          PODWIRE_STATE_DIR: state,
        },
      })
      return { status, answer: stdout === '' ? undefined : JSON.parse(stdout) }
    }
    const links = () => pod.run('sh', '-c', 'ls /sys/class/net; ip rule')
    const before = links()
    const chained = kind === 'vrf' ? { prevResult } : {}
    const added = call('ADD', chained)
    if (hasKind) {
      t.match(added, { status: 0, answer: { interfaces: [{ name: ifname }] } })
      t.same(call('STATUS'), { status: 0, answer: undefined })
      t.same(call('CHECK', { prevResult: added.answer }), { status: 0, answer: undefined })
    } else {
      const told = { msg: `this kernel has no links of kind ${kind}`, details: /CONFIG_/ }
      t.match(added, { status: 1, answer: { code: 999, ...told } })
      t.match(call('STATUS'), { status: 1, answer: { code: 50, ...told } })
    }
    t.same(call('DEL'), { status: 0, answer: undefined })
    t.equal(links(), before)
  })
}
