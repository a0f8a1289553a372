// deploy/podwire.yaml as a kubelet runs it, without a kubelet: its containers one after the other under containerd, with
// their commands, capabilities, mounts and the default seccomp profile; then pods, served by the daemon in the last one.
//
// The image is put together from dist/bin, busybox and util-linux. PODWIRE_IMAGE names the archive of one that was built
// from the Dockerfile, to be tried in its place (docs/kubernetes.md).

import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { parseAllDocuments } from 'yaml'

import { DEADLINE_MS } from '../harness/play-area.ts'
import type { ContainerHost } from './container-host.ts'
import { Containerd, findContainerdObstacle } from './containerd.ts'
import type { PodConfig, Sandbox } from './cri.ts'
import { archive } from './image.ts'
import { awaitServer, fetchText, urlOf } from './web.ts'

root.setTimeout(DEADLINE_MS)
const skip = await findContainerdObstacle()

const PROJECT = join(import.meta.dirname, '../..')
const BIN = join(PROJECT, 'dist/bin')
const SUBNETS = ['10.244.1.0/24', 'fd00:10:244:1::/64']

interface Container {
  readonly name: string
  readonly image: string
  readonly command: readonly string[]
  readonly securityContext: {
    readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] }
    readonly readOnlyRootFilesystem: boolean
    readonly allowPrivilegeEscalation?: boolean
  }
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
  readonly readinessProbe?: { readonly exec: { readonly command: readonly string[] } }
}

interface Pod {
  readonly initContainers: readonly Container[]
  readonly containers: readonly Container[]
  readonly securityContext: { readonly seccompProfile: { readonly type: 'RuntimeDefault' } }
  readonly volumes: readonly { readonly name: string; readonly hostPath?: { readonly path: string } }[]
}

function readPod(): Pod {
  const text = readFileSync(join(PROJECT, 'deploy/podwire.yaml'), 'utf8')
  const objects = parseAllDocuments(text).map((document) => document.toJS())
  return objects.find(({ kind }) => kind === 'DaemonSet').spec.template.spec
}

const POD = readPod()

function makeImage(directory: string, tag: string): string {
  const image = join(directory, 'podwire')
  const files = join(image, 'files')
  const put = (from: string, to: string) => {
    mkdirSync(join(files, dirname(to)), { recursive: true })
    copyFileSync(from, join(files, to))
  }
  for (const name of ['podwire', 'podwire-shim']) put(join(BIN, name), `opt/podwire/${name}`)
  execFileSync(join(BIN, 'podwire'), ['version']) // puts its addons beside itself, as in the Dockerfile
  cpSync(join(BIN, '.podwire'), join(files, 'opt/podwire/.podwire'), { recursive: true })
  put('/usr/bin/nsenter', 'bin/nsenter')
  for (const program of [join(BIN, 'podwire'), '/usr/bin/nsenter'])
    for (const library of execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [])
      put(library, library.slice(1))
  put('/bin/busybox', 'bin/busybox')
  symlinkSync('busybox', join(files, 'bin/sh'))
  for (const name of ['dev', 'proc', 'sys', 'tmp']) mkdirSync(join(files, name))
  return archive(image, { tag, command: ['/opt/podwire/podwire'], path: '/opt/podwire:/bin' })
}

const NAMESPACES = { network: 'NODE', pid: 'NODE' } as const

/** What a kubelet does with a DaemonSet's pod. */
class Kubelet {
  readonly containerd: Containerd
  readonly #image: string
  readonly #sandbox: Sandbox

  constructor(containerd: Containerd, image: string, sandbox: Sandbox) {
    this.containerd = containerd
    this.#image = image
    this.#sandbox = sandbox
  }

  /** Runs a container to its end. @throws when it fails, with what it printed */
  async runInit(container: Container): Promise<void> {
    const id = await this.start(container)
    await until(async () => (await this.containerd.cri.containerStatus(id)).state === 'CONTAINER_EXITED')
    const { exitCode } = await this.containerd.cri.containerStatus(id)
    if (exitCode !== 0) throw new Error(`${container.name}: ${exitCode}: ${this.output(container)}`)
  }

  /** @returns its id */
  start({ name, command, securityContext, volumeMounts = [] }: Container): Promise<string> {
    const { capabilities, readOnlyRootFilesystem, allowPrivilegeEscalation = true } = securityContext
    const mounts = volumeMounts.flatMap((mount) => {
      const hostPath = POD.volumes.find((volume) => volume.name === mount.name)?.hostPath?.path
      return hostPath === undefined ? [] : [{ containerPath: mount.mountPath, hostPath }]
    })
    return this.containerd.cri.startContainer(this.#sandbox, {
      metadata: { name },
      image: { image: this.#image },
      command,
      mounts,
      logPath: `${name}.log`,
      linux: {
        securityContext: {
          capabilities: { addCapabilities: capabilities.add, dropCapabilities: capabilities.drop },
          namespaceOptions: NAMESPACES,
          readonlyRootfs: readOnlyRootFilesystem,
          noNewPrivs: !allowPrivilegeEscalation,
          seccomp: { profileType: POD.securityContext.seccompProfile.type },
        },
      },
    })
  }

  output({ name }: Container): string {
    return readFileSync(join(this.#sandbox.config.logDirectory ?? '', `${name}.log`), 'utf8')
  }
}

async function makeKubelet(t: Test): Promise<Kubelet> {
  const containerd = await Containerd.start(t)
  const { node, cgroup } = containerd.host
  const tag = `podwire.test/${POD.containers[0]?.image}`
  const file = process.env['PODWIRE_IMAGE'] ?? makeImage(node.directory, tag)
  const imported = await containerd.ctr('image', 'import', '--snapshotter', 'native', file)
  const [, image = tag] = /^unpacking (\S+)/m.exec(imported) ?? []
  const config: PodConfig = {
    metadata: { name: 'podwire', uid: 'uid-podwire', namespace: 'kube-system' },
    logDirectory: node.directory,
    linux: { cgroupParent: `/${cgroup}`, securityContext: { namespaceOptions: NAMESPACES } },
  }
  return new Kubelet(containerd, image, { id: await containerd.cri.runPod(config), config })
}

/** There is no API server here: the ranges are given. */
function withoutApi(container: Container): Container {
  const words = container.command.flatMap((word) =>
    word.startsWith('--node=') ? SUBNETS.map((subnet) => `--subnet=${subnet}`) : [word],
  )
  return { ...container, command: words }
}

test('the DaemonSet’s containers make a node’s network', { skip, timeout: DEADLINE_MS }, async (t) => {
  const kubelet = await makeKubelet(t)
  const { host, cri } = kubelet.containerd
  const hasNetwork = () => existsSync(join(host.node.directory, 'etc/cni/net.d/10-podwire.conflist'))
  for (const container of POD.initContainers) {
    t.notOk(hasNetwork(), `no network before ${container.name}`)
    await kubelet.runInit(withoutApi(container))
  }
  t.ok(hasNetwork())

  const [daemon] = POD.containers
  if (daemon === undefined) throw new Error('no daemon')
  const id = await kubelet.start(daemon)
  const probe = daemon.readinessProbe?.exec.command ?? []
  await until(async () => (await cri.exec(id, probe)).exitCode === 0)
  await until(async () => (await cri.conditions()).some((one) => one.type === 'NetworkReady' && one.status))

  const outside = await host.node.addOutside()
  const web = await cri.runPod({
    metadata: { name: 'web', uid: 'uid-web', namespace: 'default' },
    portMappings: [{ containerPort: 8080, hostPort: 30080 }],
    linux: { cgroupParent: `/${host.cgroup}` },
  })
  const { ip } = (await cri.podStatus(web)).network
  t.match(ip, /^10\.244\.1\.\d+$/)
  await awaitServer(host.node, urlOf(ip, 8080))
  t.equal(await fetchText(outside, urlOf('192.0.2.1', 30080)), 'served\n', 'by the host port')
  t.strictSame(await callsOf(host), {
    leftToCaller: {},
    added: ['cni-bandwidth 1', 'cni-bridge 1', 'cni-loopback 1', 'cni-portmap 1'],
  })

  await cri.stopContainer(id, 20)
  t.match(await cri.containerStatus(id), { state: 'CONTAINER_EXITED', exitCode: 0 }, 'SIGTERM ends it well')
  await cri.stopPod(web)
  await cri.removePod(web)
  t.strictSame(await host.listBelongings(), [], 'and the pod is taken down without the daemon')
})

/** What the daemon says that it has done, and left to others. */
async function callsOf(host: ContainerHost): Promise<object> {
  const { daemon } = JSON.parse(await host.must('/opt/cni/bin/podwire', 'status', '-o', 'json'))
  const calls: { plugin: string; verb: string; succeeded: number }[] = daemon.calls
  const added = calls.filter(({ verb }) => verb === 'ADD')
  return {
    leftToCaller: daemon.leftToCaller,
    added: added.map(({ plugin, succeeded }) => `${plugin} ${succeeded}`).sort(),
  }
}

const PATIENCE_MS = 30_000
const PAUSE_MS = 50

/** The interface has no events (of this version). */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + PATIENCE_MS; Date.now() < endMs; ) {
    if (await isTrue()) return
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  throw new Error(`after ${PATIENCE_MS / 1000} seconds still not so: ${isTrue}`)
}
