// Kernel parameters of one network namespace, below /proc/sys/net. Which namespace a file there speaks for is
// decided by the thread that opens it (net/sysctl_net.c), so they are read and written inside the namespace.

import { openSync, readFileSync } from 'node:fs'
import { getSystemErrorMessage } from 'node:util'
import { loadNative, type Native } from '../native/native.ts'
import { asNodeError } from '../native/node-error.ts'
import type { Netns } from '../netns/netns.ts'
import { OpenSysctls } from './open-sysctls.ts'

/** Path below /proc/sys/net, with slashes, since interface names may contain dots: `ipv4/conf/eth0/arp_notify`. */
export type SysctlKey = string

export interface SysctlSetting {
  readonly key: SysctlKey
  readonly value: string
  /** The kernel may lack the parameter (IPv6 switched off, a newer feature): then it is left alone. */
  readonly optional?: boolean
  /** Written without a look at what it is: where the same value again has no effect, that costs half. */
  readonly blind?: boolean
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

export interface SysctlOptions {
  /** For who asks again and again: files that were read stay open, to be read anew each time. */
  readonly keepsOpen?: boolean
}

export class ProcSysctl implements Sysctl {
  readonly #netns: Netns
  readonly #open: OpenSysctls | undefined
  readonly #native: Native

  constructor(netns: Netns, { keepsOpen = false }: SysctlOptions = {}) {
    this.#netns = netns
    this.#native = loadNative()
    this.#open = keepsOpen ? new OpenSysctls((key) => openSync(pathOf(key), 'r')) : undefined
  }

  find(key: SysctlKey): string | undefined {
    return this.#netns.enter(() => this.#read(key))
  }

  set(...settings: readonly SysctlSetting[]): void {
    this.#netns.enter(() => {
      for (const setting of settings) if (setting.blind || this.#isDifferent(setting)) this.#write(setting)
    })
  }

  close(): void {
    this.#open?.close()
  }

  /** Inside the namespace. */
  #read(key: SysctlKey): string | undefined {
    try {
      return this.#open?.read(key) ?? readFileSync(pathOf(key), 'utf8').trim()
    } catch (thrown) {
      const cause = asNodeError(thrown, pathOf(key))
      if (cause.code === 'ENOENT') return undefined
      throw new SysctlError('read', key, cause)
    }
  }

  #write({ key, value, optional }: SysctlSetting): void {
    try {
      if (!this.#writeShortly(key, value)) this.#native.writeFile(pathOf(key), value)
    } catch (thrown) {
      const cause = asNodeError(thrown, pathOf(key))
      if (!optional || cause.code !== 'ENOENT')
        throw new SysctlError(`write ${JSON.stringify(value)} to`, key, cause)
    }
  }

  /** @returns false when there is no shorter way, or none any more */
  #writeShortly(key: SysctlKey, value: string): boolean {
    try {
      const path = this.#open?.shortPath(key)
      if (path !== undefined) this.#native.writeFile(path, value)
      return path !== undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall === 'open') return false
      throw error
    }
  }

  /** Writing even the same value can have effects (forwarding drops routes of router advertisements). */
  #isDifferent({ key, value }: SysctlSetting): boolean {
    return this.#read(key) !== value
  }
}

function pathOf(key: SysctlKey): string {
  return `/proc/sys/net/${key}`
}
