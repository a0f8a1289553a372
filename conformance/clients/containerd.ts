// containerd on a node of its own, as Debian has it.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { run } from '../harness/process.ts'
import { findCgroupObstacle } from './cgroups.ts'
import { ContainerHost } from './container-host.ts'
import { CriClient } from './cri.ts'
import { findImageObstacle, IMAGE } from './image.ts'

/** Kubernetes' images and containers are in this namespace of containerd's. */
const NAMESPACE = 'k8s.io'

/** What it can do without on any kernel, and says so at length. */
const PLUGINS_OFF = ['aufs', 'btrfs', 'devmapper', 'zfs'].map(
  (name) => `io.containerd.snapshotter.v1.${name}`,
)

/** @returns why it cannot be run here, for `skip`; false when it can */
export async function findContainerdObstacle(): Promise<string | false> {
  const programs = [
    ['containerd', '--version'],
    ['runc', '--version'],
  ] as const
  for (const command of programs) {
    const found = await run(command).catch(() => undefined)
    if (found?.status !== 0) return `there is no ${command[0]} (Debian: ${command[0]})`
  }
  return findImageObstacle() ?? findCgroupObstacle() ?? false
}

export class Containerd {
  readonly host: ContainerHost
  readonly cri: CriClient
  readonly #socket: string

  private constructor(host: ContainerHost, socket: string) {
    this.host = host
    this.#socket = socket
    this.cri = new CriClient(socket)
  }

  /** Ready to start pods; is gone with them when the test ends. */
  static async start(t: Pick<Test, 'teardown'>): Promise<Containerd> {
    const host = await ContainerHost.create(t)
    const { directory } = host.node
    const [socket, config] = [join(directory, 'containerd.sock'), join(directory, 'containerd.toml')]
    writeFileSync(config, configText(socket))
    host.start(['containerd', '--config', config], join(directory, 'containerd.log'))
    const containerd = new Containerd(host, socket)
    t.teardown(() => containerd.cri.close())
    await containerd.cri.awaitReady()
    const name = IMAGE.split(':')[0] ?? ''
    await containerd.ctr('image', 'import', '--snapshotter', 'native', '--base-name', name, host.image)
    return containerd
  }

  /** @returns what it printed. @throws when it fails */
  ctr(...args: readonly string[]): Promise<string> {
    return this.host.must('ctr', '--address', this.#socket, '--namespace', NAMESPACE, ...args)
  }
}

/** `native` needs no file system of the kernel's; without CAP_SYS_RESOURCE no OOM score can be lowered. */
function configText(socket: string): string {
  return `
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ${JSON.stringify(PLUGINS_OFF)}
[grpc]
address = ${JSON.stringify(socket)}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
`
}
