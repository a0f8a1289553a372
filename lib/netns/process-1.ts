// Paths as the first process sees them (proc_pid_root(5)): in its mount namespace, which is the node's.

import { realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** Of an absolute path, whether or not something is there. */
export function asProcess1Sees(path: string): string {
  return join('/proc/1/root', followDirectory(path))
}

/** Links are followed here: an absolute one (/var/run) below /proc/1/root would lead back to our own root. */
function followDirectory(path: string): string {
  const directory = dirname(path)
  if (directory === path) return path
  return join(findReal(directory) ?? followDirectory(directory), basename(path))
}

function findReal(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined // it is not there to us, and what is above it may be
  }
}
