// What a runtime that was killed leaves in the cgroup hierarchies.

import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'

/** Removes a group of this name, and those in it, from every hierarchy. */
export async function removeCgroups(name: string): Promise<void> {
  for (const hierarchy of ['', ...readdirSync(ROOT)]) {
    const group = join(ROOT, hierarchy, name)
    if (existsSync(group)) removeGroup(group)
  }
}

/** The files in it are the kernel's, and go with it. */
function removeGroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroup(join(path, entry.name))
  rmdirSync(path)
}

/** Why no container can be started on this machine. @returns undefined when one can */
export function findCgroupObstacle(): string | undefined {
  if (!existsSync(ROOT)) return 'there are no cgroups'
  const mount = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, path, type]) => path?.startsWith(ROOT) && (type === 'cgroup' || type === 'cgroup2'))
  if (mount === undefined) return 'no cgroup hierarchy is mounted'
  return mount[3]?.split(',').includes('ro') ? 'the cgroup hierarchies are read-only' : undefined
}
