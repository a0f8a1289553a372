import { test } from 'tap'
import { CniError } from './errors.ts'
import type { Plugin } from './plugin.ts'
import type { Request } from './request.ts'
import type { Result } from './result.ts'
import { invoke } from './skel.ts'
import { SPEC_VERSIONS } from './versions.ts'

const base = {
  CNI_CONTAINERID: 'c-1',
  CNI_NETNS: '/run/netns/x',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=p',
  CNI_PATH: '/opt/cni/bin:/usr/lib/cni',
  HOME: undefined,
}
const config = { cniVersion: '1.1.0', name: 'net', type: 'noop' }

/** A plugin whose state is the list of what it was asked: its ports. */
const recorder: Plugin<Request[]> = {
  name: 'noop',
  supportedVersions: SPEC_VERSIONS,
  add: async (ports, request) => {
    ports.push(request)
    return { ips: [{ address: '10.1.0.5/24' }] }
  },
  del: async (ports, request) => {
    ports.push(request)
  },
  check: async (ports, request) => {
    ports.push(request)
  },
  gc: async (ports, request) => {
    ports.push(request)
  },
  status: async (ports, request) => {
    ports.push(request)
  },
}

interface Given {
  readonly plugin?: Plugin<Request[]>
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly config?: unknown
  readonly stdin?: string
}

/** Runs a command and gives the outcome and the requests that reached the plugin. */
async function run(command: string, { plugin = recorder, environment = {}, ...given }: Given = {}) {
  const requests: Request[] = []
  const readStdin = () => given.stdin ?? JSON.stringify({ ...config, ...(given.config as object) })
  const invocation = { environment: { ...base, CNI_COMMAND: command, ...environment }, readStdin }
  const outcome = await invoke(plugin, () => requests, invocation, { version: '1.2.3' })
  return { ...outcome, requests, error: outcome.exitStatus === 0 ? undefined : JSON.parse(outcome.stdout) }
}

test('invoke prints the result of ADD in the version of the config', async (t) => {
  const { exitStatus, stdout, stderr } = await run('ADD', { config: { cniVersion: '0.2.0' } })
  t.equal(exitStatus, 0)
  t.equal(stderr, '')
  t.equal(
    stdout,
    '{\n    "cniVersion": "0.2.0",\n    "ip4": {\n        "ip": "10.1.0.5/24"\n    },\n    "dns": {}\n}',
  )
})

test('invoke prints nothing for the other verbs when they succeed', async (t) => {
  for (const command of ['DEL', 'CHECK', 'GC', 'STATUS']) {
    const { exitStatus, stdout, stderr, requests } = await run(command)
    t.same({ exitStatus, stdout, stderr }, { exitStatus: 0, stdout: '', stderr: '' }, command)
    t.same(
      requests.map((request) => request.command),
      [command],
    )
  }
})

test('invoke hands the plugin the whole call', async (t) => {
  const stdin = ' {"CNIVERSION":"1.0.0", "Name":"net", "PrevResult":{"ips":[{"address":"10.1.0.5/24"}]}}\n'
  const { requests } = await run('ADD', { stdin, environment: { CNI_NETNS_OVERRIDE: 'true' } })
  const environment = { ...base, CNI_COMMAND: 'ADD', CNI_NETNS_OVERRIDE: 'true' }
  t.strictSame(requests[0]?.environment, environment)
  t.same(requests, [
    {
      command: 'ADD',
      containerId: 'c-1',
      netns: '/run/netns/x',
      ifname: 'eth0',
      args: new Map([
        ['IgnoreUnknown', '1'],
        ['K8S_POD_NAME', 'p'],
      ]),
      path: ['/opt/cni/bin', '/usr/lib/cni'],
      netnsOverride: true,
      stdin,
      netconf: JSON.parse(stdin),
      name: 'net',
      cniVersion: '1.0.0',
      prevResult: { ips: [{ address: '10.1.0.5/24' }] },
      environment,
    },
  ])
})

test('invoke does without gc and status where a plugin has none', async (t) => {
  const { gc: _gc, status: _status, ...plugin } = recorder
  for (const command of ['GC', 'STATUS']) t.equal((await run(command, { plugin })).exitStatus, 0, command)
})

test('invoke answers VERSION and a call without command without opening anything', async (t) => {
  const closed = () => {
    throw new Error('opened')
  }
  const about = { version: '1.2.3' }
  const call = (CNI_COMMAND: string, name?: string) =>
    invoke(
      recorder,
      closed,
      { environment: { CNI_COMMAND, CNI_IFNAME: '/' }, readStdin: closed },
      name === undefined ? about : { ...about, name },
    )
  const versions =
    '{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}\n'
  t.same(await call('VERSION'), { exitStatus: 0, stdout: versions, stderr: '' })
  const supported = 'CNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n'
  t.same(await call(''), { exitStatus: 0, stdout: '', stderr: `CNI noop plugin v1.2.3\n${supported}` })
  t.same(await call('', 'firewall'), {
    exitStatus: 0,
    stdout: '',
    stderr: `CNI firewall plugin v1.2.3\n${supported}`,
  })
})

test('invoke reports bad calls in the order of upstream, and opens nothing for them', async (t) => {
  const missing = { CNI_PATH: '' }
  for (const [command, given, code, msg] of [
    ['ADD', { environment: { CNI_IFNAME: '/', ...missing }, stdin: 'x' }, 4, /^interface name contains/],
    ['ADD', { environment: missing, stdin: 'x' }, 4, /^required env variables \[CNI_PATH\] missing$/],
    ['ADD', { stdin: 'x' }, 6, /^error unmarshall network config: /],
    ['ADD', { stdin: '{}x' }, 6, /^error unmarshall network config: /],
    ['NONSENSE', { stdin: 'x' }, 6, /^error unmarshall network config: /],
    ['NONSENSE', { config: { name: '' } }, 7, /^missing network name$/],
    ['NONSENSE', { config: { cniVersion: 1 } }, 4, /^unknown CNI_COMMAND: NONSENSE$/],
    ['add', {}, 4, /^unknown CNI_COMMAND: add$/],
    ['ADD', { config: { name: 'a b', cniVersion: 1 } }, 7, /^invalid characters found in network name$/],
    [
      'ADD',
      { config: { cniVersion: 1 } },
      6,
      /^decoding version from network config: cniVersion: expected a string/,
    ],
    [
      'ADD',
      { config: { cniVersion: '9.9.9' }, environment: { CNI_ARGS: 'x' } },
      1,
      /^incompatible CNI versions$/,
    ],
    ['CHECK', { config: { cniVersion: '0.3.1' } }, 1, /^config version does not allow CHECK$/],
    ['GC', { config: { cniVersion: '1.0.0' } }, 1, /^config version does not allow GC$/],
    ['STATUS', { config: { cniVersion: undefined } }, 1, /^config version does not allow STATUS$/],
    ['ADD', { environment: { CNI_ARGS: 'x' } }, 4, /^CNI_ARGS: invalid pair "x"$/],
    [
      'ADD',
      { config: { prevResult: 1 } },
      6,
      /^could not parse prevResult: invalid result: expected an object, got a number$/,
    ],
    [
      'CHECK',
      { config: { prevResult: { ips: 1 } } },
      6,
      /^could not parse prevResult: invalid result: ips: expected a list/,
    ],
  ] as const) {
    const { exitStatus, stderr, error, requests } = await run(command, given)
    t.match(
      { exitStatus, stderr, error },
      { exitStatus: 1, stderr: '', error: { code, msg } },
      `${command} ${msg}`,
    )
    t.same(requests, [])
  }
})

test('invoke reports a stdin that cannot be read', async (t) => {
  const readStdin = () => {
    throw new Error('EIO: i/o error, read')
  }
  const { stdout, exitStatus } = await invoke(
    recorder,
    [],
    { environment: { ...base, CNI_COMMAND: 'ADD' }, readStdin },
    { version: '1' },
  )
  t.equal(exitStatus, 1)
  t.same(JSON.parse(stdout), {
    cniVersion: '1.1.0',
    code: 5,
    msg: 'error reading from stdin: EIO: i/o error, read',
  })
})

test('invoke runs DEL whatever is wrong with arguments and prevResult', async (t) => {
  const broken = { environment: { CNI_ARGS: 'A=1;x', CNI_NETNS: '' }, config: { prevResult: { ips: 1 } } }
  const { exitStatus, requests } = await run('DEL', broken)
  t.equal(exitStatus, 0)
  t.match(requests, [{ netns: '', prevResult: undefined, args: new Map([['A', '1']]) }])
})

test('invoke does not read arguments and prevResult for GC and STATUS', async (t) => {
  for (const command of ['GC', 'STATUS']) {
    const { requests } = await run(command, { environment: { CNI_ARGS: 'x' }, config: { prevResult: 1 } })
    t.match(
      requests,
      [{ containerId: '', netns: '', ifname: '', prevResult: undefined, args: new Map() }],
      command,
    )
  }
})

test('invoke names in an error the version of the config where it is known and supported', async (t) => {
  const unversioned = await run('ADD', { config: { cniVersion: undefined, prevResult: 1 } })
  t.equal(unversioned.error.cniVersion, '0.1.0')
  const plugin: Plugin<Request[]> = { ...recorder, supportedVersions: ['0.4.0', '1.0.0'] }
  for (const [given, version] of [
    [{ config: { cniVersion: '0.4.0', name: '' } }, '0.4.0'],
    [{ config: { cniVersion: '0.4.0', prevResult: 1 } }, '0.4.0'],
    [{ config: { cniVersion: '1.1.0' } }, '1.0.0'],
    [{ config: { cniVersion: 1 } }, '1.0.0'],
    [{ stdin: 'x' }, '1.0.0'],
  ] as const) {
    t.equal((await run('ADD', { plugin, ...given })).error.cniVersion, version, JSON.stringify(given))
  }
})

test('invoke turns what a verb throws into an error object', async (t) => {
  const remedy = Object.assign(new Error('store is read-only'), { remedy: 'remount it' })
  for (const [thrown, expected] of [
    [new CniError(11, 'later', { details: 'd' }), { code: 11, msg: 'later', details: 'd' }],
    [
      new Error('lease', { cause: remedy }),
      { code: 999, msg: 'lease', details: 'store is read-only; remount it' },
    ],
    ['text', { code: 999, msg: 'text' }],
  ] as const) {
    const fail = async () => {
      throw thrown
    }
    const plugin = { ...recorder, add: fail, del: fail, check: fail, gc: fail, status: fail }
    for (const command of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS']) {
      const { exitStatus, error } = await run(command, { plugin })
      t.same({ exitStatus, error }, { exitStatus: 1, error: { cniVersion: '1.1.0', ...expected } }, command)
    }
  }
})

test('invoke reports ports that cannot be opened, and takes ports that are open', async (t) => {
  const invocation = {
    environment: { ...base, CNI_COMMAND: 'STATUS' },
    readStdin: () => JSON.stringify(config),
  }
  const broken = () => Promise.reject(new Error('no netlink'))
  t.match((await invoke(recorder, broken, invocation, { version: '1' })).stdout, /"msg": "no netlink"/)
  const requests: Request[] = []
  t.equal((await invoke(recorder, requests, invocation, { version: '1' })).exitStatus, 0)
  t.equal(requests.length, 1)
})

test('invoke undoes an ADD whose result the version of the config cannot say', async (t) => {
  const add = async (ports: Request[], request: Request): Promise<Result> => {
    ports.push(request)
    return { interfaces: [{ name: 'eth0' }] }
  }
  const given = { plugin: { ...recorder, add }, config: { cniVersion: '0.2.0' } }
  const { error, requests } = await run('ADD', given)
  t.match(error, { cniVersion: '0.2.0', code: 999, msg: 'cannot convert: no valid IP addresses' })
  t.same(
    requests.map(({ command }) => command),
    ['ADD', 'DEL'],
  )

  const del = () => Promise.reject(new Error('link is busy'))
  const both = await run('ADD', { ...given, plugin: { ...given.plugin, del } })
  t.match(both.error, { msg: 'cannot convert: no valid IP addresses', details: /link is busy/ })
})
