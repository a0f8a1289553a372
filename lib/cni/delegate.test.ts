import { test } from 'tap'
import {
  type DelegateCall,
  type DelegateExec,
  type DelegateExit,
  type DelegatePorts,
  delegateAdd,
  delegateCheck,
  delegateDel,
  delegateStatus,
  findDelegateGarbage,
} from './delegate.ts'
import { CniError } from './errors.ts'
import type { Plugin } from './plugin.ts'
import type { Request } from './request.ts'
import { SPEC_VERSIONS } from './versions.ts'

const request: Request = {
  command: 'ADD',
  containerId: 'c-1',
  netns: '/run/netns/x',
  ifname: 'eth0',
  args: new Map(),
  path: ['/opt/cni/bin'],
  netnsOverride: false,
  stdin: ' {"name":"net"}',
  netconf: { name: 'net' },
  name: 'net',
  cniVersion: '1.1.0',
  prevResult: undefined,
  environment: { CNI_COMMAND: 'ADD', CNI_IFNAME: 'eth0', HOME: '/root' },
}

const ok: DelegateExit = { status: 0, signal: null, stdout: '', stderr: '' }

/** Executes nothing: answers each command with an exit and keeps the calls. */
function fakeExec(exits: Readonly<Record<string, Partial<DelegateExit>>>) {
  const calls: DelegateCall[] = []
  const exec: DelegateExec = {
    find: async (type, path) => `${path[0]}/${type}`,
    run: async (call) => {
      calls.push(call)
      return { ...ok, ...exits[call.environment['CNI_COMMAND'] ?? ''] }
    },
  }
  const commands = () => calls.map(({ environment }) => environment['CNI_COMMAND'])
  return { ports: { delegates: { inProcess: () => undefined, exec } }, calls, commands }
}

/** GC as a plugin does it. */
async function delegateGc(ports: DelegatePorts, type: string, one: Request): Promise<void> {
  for (const { remove } of await findDelegateGarbage(ports, type, one)) await remove()
}

const verbs = { DEL: delegateDel, CHECK: delegateCheck, GC: delegateGc, STATUS: delegateStatus }
const all: Readonly<Record<string, (ports: DelegatePorts, type: string, one: Request) => Promise<unknown>>> =
  {
    ADD: delegateAdd,
    ...verbs,
  }

test('delegates of others get the same stdin and environment and only another command', async (t) => {
  for (const [command, delegate] of Object.entries(all)) {
    const { ports, calls } = fakeExec({ ADD: { stdout: '{}' } })
    await delegate(ports, 'dhcp', request)
    const environment = { ...request.environment, CNI_COMMAND: command }
    t.same(calls, [{ file: '/opt/cni/bin/dhcp', stdin: request.stdin, environment }], command)
  }
})

test('delegateAdd reads the result of the version that it has, else that of the config', async (t) => {
  for (const [stdout, result] of [
    ['{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.5/24"},"dns":{}}', { ips: [{ address: '10.1.0.5/24' }] }],
    ['{"ips":[{"address":"10.1.0.5/24"}]}\n', { ips: [{ address: '10.1.0.5/24' }] }],
    ['null', {}],
  ] as const) {
    const { ports, commands } = fakeExec({ ADD: { stdout } })
    t.same(await delegateAdd(ports, 'dhcp', request), result, stdout)
    t.same(commands(), ['ADD'])
  }
})

test('delegateAdd tells what went wrong and has the delegate DEL', async (t) => {
  const error = '{"cniVersion":"1.1.0","code":11,"msg":"no lease yet","details":"wait"}'
  for (const [exit, code, message, details] of [
    [{ status: 1, stdout: error }, 11, 'no lease yet', 'wait'],
    [{ status: 1, stdout: '{"Code":103,"Msg":"m"}', stderr: 'noise' }, 103, 'm', ''],
    [{ status: 1, stdout: '{"code":0,"msg":"m"}' }, 999, 'm', ''],
    [{ status: 1, stdout: '{"code":"7","msg":"m","details":1}' }, 999, 'm', ''],
    [{ status: 2 }, 999, 'netplugin failed with no error message: exit status 2', 'AT'],
    [
      { status: null, signal: 'SIGKILL' },
      999,
      'netplugin failed with no error message: signal: SIGKILL',
      'AT',
    ],
    [{ status: 2, stderr: 'panic: x\n' }, 999, 'netplugin failed: "panic: x\\n": exit status 2', 'AT'],
    [
      { status: 1, stdout: 'oops' },
      999,
      'netplugin failed but error parsing its diagnostic message "oops": exit status 1',
      'AT',
    ],
    [
      { status: 1, stdout: '{}' },
      999,
      'netplugin failed but error parsing its diagnostic message "{}": exit status 1',
      'AT',
    ],
    [
      { status: 1, stdout: '{"code":7,"msg":""}' },
      999,
      `netplugin failed but error parsing its diagnostic message ${JSON.stringify('{"code":7,"msg":""}')}: exit status 1`,
      'AT',
    ],
    [{ stdout: ' \n' }, 6, 'delegate "dhcp" printed no result', ''],
    [{ stdout: 'oops' }, 6, 'delegate "dhcp" printed no JSON: "oops"', ''],
    [{ stdout: 'x'.repeat(2000) }, 6, `delegate "dhcp" printed no JSON: "${'x'.repeat(1000)}..."`, ''],
    [{ stdout: '[]' }, 6, 'delegate "dhcp": invalid result: expected an object, got a list', ''],
    [
      { stdout: '{"cniVersion":"7"}' },
      6,
      'delegate "dhcp": invalid result: unsupported CNI result version "7"',
      '',
    ],
  ] as const) {
    const { ports, commands } = fakeExec({ ADD: exit })
    const expected = {
      code,
      message,
      details: details === 'AT' ? 'delegate "dhcp" at /opt/cni/bin/dhcp, ADD' : details,
    }
    await t.rejects(delegateAdd(ports, 'dhcp', request), expected, message)
    t.same(commands(), ['ADD', 'DEL'], message)
  }
})

test('delegateAdd tells of the failed ADD first when DEL fails too', async (t) => {
  const { ports } = fakeExec({
    ADD: { status: 1, stdout: '{"code":11,"msg":"no lease","details":"wait"}' },
    DEL: { status: 1, stdout: '{"code":5,"msg":"disk"}' },
  })
  const expected = { code: 11, message: 'no lease', details: 'wait; its DEL failed too: disk' }
  await t.rejects(delegateAdd(ports, 'dhcp', request), expected)
  const same = fakeExec({
    ADD: { status: 1, stdout: '{"code":5,"msg":"disk"}' },
    DEL: { status: 1, stdout: '{"code":5,"msg":"disk"}' },
  })
  await t.rejects(delegateAdd(same.ports, 'dhcp', request), { code: 5, message: 'disk', details: '' })
})

test('the other verbs pass the error of the delegate on and ignore what it prints otherwise', async (t) => {
  for (const [command, delegate] of Object.entries(verbs)) {
    const failing = fakeExec({ [command]: { status: 1, stdout: '{"code":50,"msg":"m","details":"d"}' } })
    await t.rejects(
      delegate(failing.ports, 'dhcp', request),
      { code: 50, message: 'm', details: 'd' },
      command,
    )
    t.same(failing.commands(), [command])
    await delegate(fakeExec({ [command]: { stdout: 'chatter' } }).ports, 'dhcp', request)
  }
})

test('a delegate that is not found is neither run nor undone', async (t) => {
  const { ports, calls } = fakeExec({})
  const find = () => Promise.reject(new CniError(999, 'failed to find plugin "x" in path []'))
  const lost = { delegates: { ...ports.delegates, exec: { ...ports.delegates.exec, find } } }
  for (const delegate of Object.values(all)) {
    await t.rejects(async () => void (await delegate(lost, 'x', request)), {
      code: 999,
      message: /^failed to find plugin "x"/,
    })
  }
  t.same(calls, [])
})

interface OurPorts {
  readonly seen: Request[]
}

const ours: Plugin<OurPorts> = {
  name: 'ipam-host-local',
  supportedVersions: SPEC_VERSIONS,
  add: async (ports, one) => {
    ports.seen.push(one)
    return { ips: [{ address: '10.1.0.5/24', interface: 0 }], routes: [{ dst: '::/0', mtu: 1400 }] }
  },
  del: async (ports, one) => void ports.seen.push(one),
  check: async (ports, one) => void ports.seen.push(one),
  findGarbage: async (ports, one) => {
    ports.seen.push(one)
    return []
  },
  status: async (ports, one) => void ports.seen.push(one),
}

/** Ports whose `inProcess` knows one plugin; whatever is executed is an error. */
function inProcess(plugin: Plugin<OurPorts>) {
  const never = () => Promise.reject(new Error('executed'))
  const find = (type: string) => (type === plugin.name ? plugin : undefined)
  return { seen: [] as Request[], delegates: { inProcess: find, exec: { find: never, run: never } } }
}

test('our own plugins are run in process on the same request and ports', async (t) => {
  for (const [command, delegate] of Object.entries(all)) {
    const ports = inProcess(ours)
    const result = await delegate(ports, ours.name, request)
    t.same(ports.seen, [{ ...request, command }], command)
    if (command === 'ADD') t.same(result, await ours.add(ports, request), 'the result is not converted')
    await t.rejects(async () => void (await delegate(ports, 'dhcp', request)), { message: 'executed' })
  }
})

test('our own plugins without gc and status succeed at them', async (t) => {
  const { findGarbage: _gc, status: _status, ...plugin } = ours
  await t.resolves(delegateGc(inProcess(plugin), ours.name, request))
  await t.resolves(delegateStatus(inProcess(plugin), ours.name, request))
})

test('our own plugins are refused a version that they do not support', async (t) => {
  const ports = inProcess({ ...ours, supportedVersions: ['1.0.0'] })
  await t.rejects(delegateAdd(ports, ours.name, request), { code: 1, message: 'incompatible CNI versions' })
  await t.rejects(delegateGc(ports, ours.name, request), {
    code: 1,
    message: 'plugin version does not allow GC',
  })
  t.same(ports.seen, [])
})

test('our own plugin whose ADD fails is not asked to DEL what it refused', async (t) => {
  const add = () => Promise.reject(new CniError(999, '10.1.0.5 has been allocated to c-1'))
  const ports = inProcess({ ...ours, add })
  await t.rejects(delegateAdd(ports, ours.name, request), { code: 999, message: /has been allocated/ })
  t.same(ports.seen, [])
})
