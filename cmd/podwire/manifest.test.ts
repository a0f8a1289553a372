// deploy/podwire.yaml, by Kubernetes' own schemas, and by what it says to our commands.

import { execFileSync } from 'node:child_process'
import { readFileSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { IDaemonSet } from 'kubernetes-models/apps/v1'
import { DaemonSet } from 'kubernetes-models/apps/v1'
import { ClusterRole, ClusterRoleBinding } from 'kubernetes-models/rbac.authorization.k8s.io/v1'
import { type IContainer, ServiceAccount } from 'kubernetes-models/v1'
import { test } from 'tap'
import { parse, parseAllDocuments } from 'yaml'

import { makeNode } from './node.fixture.ts'

const PROJECT = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(PROJECT, path), 'utf8')

const KINDS = { ServiceAccount, ClusterRole, ClusterRoleBinding, DaemonSet }
const OBJECTS = parseAllDocuments(read('deploy/podwire.yaml')).map((document) => document.toJS())
const NODE = { environment: { PODWIRE_SOCKET: '/nonexistent/podwire.sock' } }

const [daemonSet] = OBJECTS.filter(({ kind }) => kind === 'DaemonSet') as Required<IDaemonSet>[]
const pod = daemonSet?.spec?.template.spec
const containers = new Map(
  [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])].map((one) => [one.name, one]),
)

function container(name: string): IContainer {
  const found = containers.get(name)
  if (found === undefined) throw new Error(`no container "${name}"`)
  return found
}

test('the manifest is what Kubernetes’ schemas ask for', async (t) => {
  t.strictSame(
    OBJECTS.map(({ kind }) => kind),
    Object.keys(KINDS),
  )
  for (const object of OBJECTS) {
    const Kind = KINDS[object.kind as keyof typeof KINDS]
    t.doesNotThrow(() => new Kind(object).validate(), object.kind)
  }
})

/** Those schemas let unknown fields pass, which an API server does not; their types do not. */
test('the manifest has no field that Kubernetes does not know', async (t) => {
  const text = OBJECTS.map((object) => {
    const path = { apps: 'apps/v1', rbac: 'rbac.authorization.k8s.io/v1', v1: 'v1' }[
      String(object.apiVersion).split(/[./]/)[0] ?? ''
    ]
    const type = `import('kubernetes-models/${path}').I${object.kind}`
    return `export const ${object.kind}: ${type} = ${JSON.stringify(object, null, 1)}\n`
  }).join('')
  const compilerOptions = { module: 'nodenext', strict: true, skipLibCheck: true, noEmit: true, types: [] }
  const directory = t.testdir({
    'objects.ts': text,
    'package.json': '{ "type": "module" }',
    'tsconfig.json': JSON.stringify({ compilerOptions, files: ['objects.ts'] }),
  })
  symlinkSync(join(PROJECT, 'node_modules'), join(directory, 'node_modules'))
  const check = () =>
    execFileSync(join(PROJECT, 'node_modules/.bin/tsc'), ['-p', directory], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
  try {
    t.equal(check(), '')
  } catch (error) {
    t.equal((error as { stdout: string }).stdout, '')
  }
})

test('the configuration is written last, by a container that has no other right', async (t) => {
  t.strictSame([...containers.keys()], ['install', 'check', 'network', 'daemon'])
  const { securityContext, volumeMounts } = container('network')
  t.strictSame(securityContext?.capabilities, { drop: ['ALL'], add: ['DAC_OVERRIDE'] })
  t.ok(volumeMounts?.some(({ name }) => name === 'api-access'))
  for (const name of ['install', 'check', 'daemon'])
    t.notOk(
      container(name).volumeMounts?.some((mount) => mount.name === 'api-access'),
      `${name} has no token`,
    )
})

test('the daemon is in the node’s namespaces, and has no file of its own', async (t) => {
  t.match(pod, { hostNetwork: true, hostPID: true, automountServiceAccountToken: false })
  const { command, volumeMounts } = container('daemon')
  t.equal(command?.join(' '), 'nsenter --target=1 --mount -- /opt/cni/bin/podwire daemon')
  t.equal(volumeMounts, undefined)
})

/** It enters a mount namespace, which the service need not. How niceness counts is said in docs/kubernetes.md. */
test('the daemon has the capabilities that it has as a service', async (t) => {
  const [, names = ''] = /^CapabilityBoundingSet=(.*)$/m.exec(read('deploy/podwire.service')) ?? []
  const capabilities = names.split(' ').map((name) => name.replace('CAP_', ''))
  const given = container('daemon').securityContext?.capabilities
  t.strictSame(given?.drop, ['ALL'])
  const expected = [...capabilities.filter((name) => name !== 'SYS_NICE'), 'SYS_CHROOT']
  t.strictSame([...(given?.add ?? [])].sort(), expected.sort())
})

test('every command of the manifest is one that podwire has', async (t) => {
  const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const
  const commands = [...containers.values()].flatMap((one) => [
    one.command,
    ...probes.map((probe) => one[probe]?.exec?.command),
  ])
  const words = commands.flatMap((command) => {
    const at = command?.findIndex((word) => word.endsWith('/podwire')) ?? -1
    return command === undefined || at < 0 ? [] : [command.slice(at + 1)]
  })
  t.equal(words.length, 6)
  // Words that the command does not take are refused before it helps.
  for (const one of words)
    t.match(await makeNode({ about: NODE }).podwire(...one, '--help'), { exitStatus: 0 })
})

test('the check asks cni-bridge for its STATUS', async (t) => {
  const script = container('check').command?.[2] ?? ''
  const [, config = ''] = /echo '(.*)'/.exec(script) ?? []
  t.match(JSON.parse(config), { cniVersion: '1.1.0', type: 'cni-bridge', ipMasq: true })
  t.match(script, /CNI_COMMAND=STATUS/)
})

test('all containers are of the image that is built and loaded into kind', async (t) => {
  const { version } = JSON.parse(read('package.json'))
  t.strictSame(new Set([...containers.values()].map(({ image }) => image)), new Set([`podwire:${version}`]))
  t.match(read('Dockerfile'), `docker build -t podwire:${version} .`)
})

test('the workflow is YAML', async (t) => {
  t.match(parse(read('.github/workflows/kind.yaml')), { jobs: { kind: { steps: Array } } })
})
