// What the browser's half says, as far as it needs no browser.

import { test } from 'tap'
import { explainStep } from './browser/explain.ts'
import { byName, changeText, endsOf, manyText, msText, podText, timeText } from './browser/text.ts'
import type { Picture, PicturePod, StoryStep } from './picture.ts'

function podOf(name: string, more: Partial<PicturePod> = {}): PicturePod {
  const rest = {
    namespace: 'demo',
    container: name,
    ifname: 'eth0',
    network: 'net',
    addresses: [],
    mac: '',
    bridge: 'br0',
  }
  const state = { state: 'attached', createdAtMs: 0, plugins: [], wire: null, troubles: [] } as const
  return { id: `${name}/eth0`, name, ...rest, ...state, ...more }
}

test('numbers are told as people say them', (t) => {
  t.same(['253', '18446744073709551614', String(2n ** 32n)].map(manyText), ['253', 'about 2⁶⁴', 'about 2³²'])
  t.equal(timeText(1_000_000_000_123), '2001-09-09 01:46:40 UTC')
  t.same([0.123, 9.999, 61.24].map(msText), ['0.12 ms', '10.00 ms', '61.2 ms'])
  t.end()
})

test('pods are named and sorted as people do, and told apart by the ends of their addresses', (t) => {
  t.same([podOf('a'), podOf('a', { namespace: '' }), podOf('', { container: 'f'.repeat(64) })].map(podText), [
    'demo/a',
    'a',
    'fffffffffffff',
  ])
  t.same(
    byName(['web-10', 'web-9', 'api'].map((name) => podOf(name))).map(({ name }) => name),
    ['api', 'web-9', 'web-10'],
  )
  t.same(endsOf(['10.1.0.5/24', '10.1.0.6/24']), ['.5', '.6'])
  t.same(endsOf(['10.1.0.5/16', '10.1.1.5/16']), ['0.5', '1.5'])
  t.same(endsOf(['fd00::5/64', 'fd00::a/64']), [':5', ':a'])
  t.end()
})

test('changes are told in a few words, and none when nothing has changed', (t) => {
  const picture = (...pods: readonly PicturePod[]) => ({ pods }) as unknown as Picture
  const [a, b, c] = ['a', 'b', 'c'].map((name) => podOf(name)) as [PicturePod, PicturePod, PicturePod]
  t.equal(changeText(picture(a), picture(a)), '')
  t.equal(changeText(picture(a), picture(a, b)), 'demo/b attached')
  t.equal(changeText(picture(a, b), picture(c)), 'demo/c attached, 2 pods gone')
  t.equal(changeText(picture(a), picture({ ...a, troubles: ['its wire is gone'] })), 'demo/a in trouble')
  t.end()
})

test('steps are explained by what they do', (t) => {
  const step = (kind: string, where: StoryStep['where'], ...lines: readonly string[]): StoryStep => {
    return { kind, where, lines, does: 'change', atMs: 0, durationMs: 0, hasFailed: false }
  }
  for (const [of, title] of [
    [step('links', 'node', 'ip link add name br0 type bridge'), /^Makes the bridge/],
    [step('links', 'node', 'ip link add name v master br0 type veth peer name eth0'), /^Makes the wire/],
    [
      step('links', 'node', 'ip link set dev v alias "net a eth0" up type bridge_slave hairpin off'),
      /plugs it in/,
    ],
    [step('links', 'node', 'ip link set dev br0 up'), /^Brings it up/],
    [step('links', 'pod', 'ip link set dev lo up', 'ip addr add 10.1.0.5/24 dev eth0'), /^Inside the pod/],
    [
      step('nftables', 'node', 'nft add element inet podwire masquerade_ipv4 { 10.1.0.5 }'),
      /under the node’s address/,
    ],
    [step('sysctl', 'node', 'sysctl -w net/ipv4/ip_forward=1'), /pass packets on/],
    [{ ...step('links', 'node', 'ip link show dev br0'), does: 'look' }, /^Looks$/],
    [step('new kind', 'node', 'x'), /^Changes something$/],
  ] as const)
    t.match(explainStep(of), title)
  t.end()
})
