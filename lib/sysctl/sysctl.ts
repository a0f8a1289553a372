// Kernel parameters of one network namespace, below /proc/sys/net. Which namespace a file there speaks for is
// decided by the thread that opens it (net/sysctl_net.c), so they are read and written inside the namespace.

import { readFileSync, writeFileSync } from 'node:fs'
import { getSystemErrorMessage } from 'node:util'
import type { Netns } from '../netns/netns.ts'

/** Path below /proc/sys/net, with slashes, since interface names may contain dots: `ipv4/conf/eth0/arp_notify`. */
export type SysctlKey = string

export interface SysctlSetting {
  readonly key: SysctlKey
  readonly value: string
  /** The kernel may lack the parameter (IPv6 switched off, a newer feature): then it is left alone. */
  readonly optional?: boolean
}

export class SysctlError extends Error {
  readonly code: string
  readonly key: SysctlKey

  constructor(operation: string, key: SysctlKey, cause: NodeJS.ErrnoException) {
    const why = cause.errno === undefined ? cause.message : getSystemErrorMessage(cause.errno)
    super(`${operation} sysctl net/${key}: ${cause.code}: ${why}`, { cause })
    this.name = 'SysctlError'
    this.code = cause.code ?? 'EIO'
    this.key = key
  }

  get remedy(): string | undefined {
    return this.code === 'EROFS' ? 'make /proc/sys writable where the plugin runs' : undefined
  }
}

export interface Sysctl {
  /** @returns undefined where the kernel has no such parameter */
  find(key: SysctlKey): string | undefined
  /** Writes what differs. @throws SysctlError ENOENT, EACCES, EROFS, EINVAL */
  set(...settings: readonly SysctlSetting[]): void
}

export class ProcSysctl implements Sysctl {
  readonly #netns: Netns

  constructor(netns: Netns) {
    this.#netns = netns
  }

  find(key: SysctlKey): string | undefined {
    return this.#netns.enter(() => read(key))
  }

  set(...settings: readonly SysctlSetting[]): void {
    this.#netns.enter(() => {
      for (const { key, value, optional } of settings) write(key, value, optional === true)
    })
  }
}

function read(key: SysctlKey): string | undefined {
  try {
    return readFileSync(`/proc/sys/net/${key}`, 'utf8').trim()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new SysctlError('read', key, cause as NodeJS.ErrnoException)
  }
}

/** Writing even the same value can have effects (forwarding drops routes of router advertisements). */
function write(key: SysctlKey, value: string, optional: boolean): void {
  const current = read(key)
  if (current === value || (current === undefined && optional)) return
  try {
    writeFileSync(`/proc/sys/net/${key}`, value)
  } catch (cause) {
    throw new SysctlError(`write ${JSON.stringify(value)} to`, key, cause as NodeJS.ErrnoException)
  }
}
