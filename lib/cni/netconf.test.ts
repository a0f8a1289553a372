import { test } from 'tap'
import { netconfSchema } from './netconf.ts'
import { decode } from './schema.ts'

const attachments = [{ containerID: 'c', ifname: 'eth0' }]

test('netconf tells absent, null and empty valid attachments apart', async (t) => {
  for (const [given, expected] of [
    [{}, undefined],
    [{ 'cni.dev/valid-attachments': null }, null],
    [{ 'cni.dev/valid-attachments': [] }, []],
    [{ 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': [] }, attachments],
    [{ 'cni.dev/attachments': attachments }, attachments],
    [{ 'cni.dev/attachments': null }, null],
    [{ 'cni.dev/valid-attachments': [{ ContainerID: 'c', IfName: 'eth0' }] }, attachments],
  ] as const) {
    t.same(decode(netconfSchema, given)['cni.dev/valid-attachments'], expected, JSON.stringify(given))
  }
})

test('netconf names what is wrong in it', async (t) => {
  for (const [given, message] of [
    [{ ipam: [] }, 'ipam: expected an object, got a list'],
    [{ ipam: { type: 1 } }, 'ipam.type: expected a string, got a number'],
    [{ dns: { search: 'a' } }, 'dns.search: expected a list, got a string'],
    [{ cniVersions: ['1.0.0', 1] }, 'cniVersions[1]: expected a string, got a number'],
    [
      { 'cni.dev/valid-attachments': [{ containerID: 1 }] },
      'cni.dev/valid-attachments[0].containerID: expected a string, got a number',
    ],
    ...[
      [null, 'containerID'],
      [{}, 'containerID'],
      [{ ifname: 'eth0' }, 'containerID'],
      [{ containerID: 'c' }, 'ifname'],
      [{ containerID: 'c', ifname: '' }, 'ifname'],
    ].map(
      ([entry, name]) =>
        [
          { 'cni.dev/valid-attachments': [...attachments, entry] },
          `cni.dev/valid-attachments[1].${name}: expected a name, got none`,
        ] as const,
    ),
  ] as const) {
    t.throws(() => decode(netconfSchema, given), { code: 7, message }, message)
  }
})
