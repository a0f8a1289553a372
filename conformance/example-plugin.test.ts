// The example of docs/writing-a-plugin.md, executed as a runtime executes a plugin.

import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { t as root, test } from 'tap'
import { makeNamespace } from '../lib/testing/netns.ts'
import { DEADLINE_MS } from './harness/play-area.ts'

const MAIN = resolve(import.meta.dirname, '../docs/example-plugin/main.ts')

root.setTimeout(DEADLINE_MS)

test('the example plugin works from ADD to DEL', { timeout: DEADLINE_MS }, async (t) => {
  const [node, pod] = [makeNamespace(t, 'node'), makeNamespace(t, 'pod')]
  node.run('ip', 'link', 'add', 'host0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.name)
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'host0' }, { name: 'eth0', sandbox: pod.path }],
  }
  const state = t.testdir({})
  const call = (command: string, config: object = {}, netns = pod.path) => {
    const stdin = JSON.stringify({ cniVersion: '1.1.0', name: 'net', type: 'cni-proxy-arp', ...config })
    const { status, stdout, stderr } = spawnSync('ip', ['netns', 'exec', node.name, process.execPath, MAIN], {
      input: stdin,
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'],
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'c1',
        CNI_NETNS: netns,
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/opt/cni/bin',
        PODWIRE_STATE_DIR: join(state, 'podwire'),
      },
    })
    t.equal(stderr, '', command)
    return { status, answer: stdout === '' ? undefined : JSON.parse(stdout) }
  }
  const proxyArp = () => node.run('cat', '/proc/sys/net/ipv4/conf/host0/proxy_arp').trim()
  t.match(call('ADD'), { status: 1, answer: { code: 7, msg: 'must be called as chained plugin' } })
  t.match(call('ADD', { prevResult, proxyArp: 'yes' }), {
    status: 1,
    answer: { code: 7, msg: /^proxyArp: / },
  })
  t.equal(proxyArp(), '0')
  t.same(call('ADD', { prevResult }), { status: 0, answer: prevResult })
  t.equal(proxyArp(), '1')
  t.same(call('CHECK', { prevResult }), { status: 0, answer: undefined })
  node.run('sh', '-c', 'echo 0 >/proc/sys/net/ipv4/conf/host0/proxy_arp')
  t.match(call('CHECK', { prevResult }), {
    answer: {
      code: 100,
      msg: 'attachment is not as ADD made it: host interface host0 has proxy_arp 0, expected 1',
    },
  })
  node.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/conf/host0/proxy_arp')
  t.same(call('STATUS'), { status: 0, answer: undefined })
  t.same(call('DEL', {}, ''), { status: 0, answer: undefined })
  t.equal(proxyArp(), '0', 'without namespace and prevResult')
  t.same(call('DEL', {}, ''), { status: 0, answer: undefined })
  t.same(call('ADD', { prevResult }), { status: 0, answer: prevResult })
  t.same(call('GC', { 'cni.dev/valid-attachments': [] }), { status: 0, answer: undefined })
  t.equal(proxyArp(), '0')
})
