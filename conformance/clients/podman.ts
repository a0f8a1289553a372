// podman on a node of its own, with its CNI backend, as Debian 12 has it. It has no daemon.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { run } from '../harness/process.ts'
import { findCgroupObstacle } from './cgroups.ts'
import { ContainerHost } from './container-host.ts'
import { findImageObstacle } from './image.ts'

/** podman 5 is built without the CNI backend. */
const LAST_MAJOR = 4

/** @returns why it cannot be run here, for `skip`; false when it can */
export async function findPodmanObstacle(): Promise<string | false> {
  const found = await run(['podman', '--version']).catch(() => undefined)
  const [version] = /\d+\.\d+\.\d+/.exec(found?.stdout ?? '') ?? []
  if (version === undefined) return 'there is no podman (Debian: podman)'
  if (Number.parseInt(version, 10) > LAST_MAJOR) return `podman ${version} has no CNI backend`
  return findImageObstacle() ?? findCgroupObstacle() ?? false
}

export class Podman {
  readonly host: ContainerHost

  private constructor(host: ContainerHost) {
    this.host = host
  }

  /** With the image; is gone with all containers when the test ends. */
  static async start(t: Pick<Test, 'teardown'>): Promise<Podman> {
    const host = await ContainerHost.create(t)
    const podman = new Podman(host)
    const directory = join(host.node.directory, 'etc/containers')
    writeFileSync(join(directory, 'containers.conf'), CONTAINERS)
    writeFileSync(join(directory, 'storage.conf'), STORAGE)
    await podman.must('load', '--input', host.image)
    return podman
  }

  /** @returns what it printed. @throws when it fails */
  async must(...args: readonly string[]): Promise<string> {
    return (await this.host.must('podman', ...args)).trim()
  }

  /** Starts a container in the background. @returns its id */
  start(...args: readonly string[]): Promise<string> {
    return this.must('run', '--detach', '--cgroup-parent', `/${this.host.cgroup}`, ...args)
  }
}

/** Without CAP_SYS_RESOURCE no limit can be raised, which it would do by default. */
const CONTAINERS = `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
`

const STORAGE = `
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
`
