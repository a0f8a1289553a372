// Network namespaces (network_namespaces(7)): open one by its path, know it, act inside it for a moment.
//
// A thread is in one namespace at a time, and a socket stays in the namespace it was made in. So code goes in only
// for the synchronous moment in which it opens a socket or writes a sysctl: nothing else of the program can run in
// between. When the way back fails, the process is in the wrong network and must not go on: it aborts.

import { closeSync } from 'node:fs'
import { getSystemErrorMessage, getSystemErrorName } from 'node:util'
import { loadNative, type Native } from '../native/native.ts'
import { asNodeError } from '../native/node-error.ts'

/** The namespace of the calling thread. */
const OWN_NAMESPACE = '/proc/thread-self/ns/net'
const EINVAL = 22
const EBADF = 9

export class NetnsError extends Error {
  /** ENOENT: nothing there. ENOTNETNS: something else is there. EPERM, EMFILE, …: the kernel's refusal. */
  readonly code: string
  readonly path: string

  constructor(code: string, path: string, why: string, cause?: unknown) {
    super(`open network namespace ${JSON.stringify(path)}: ${code}: ${why}`, { cause })
    this.name = 'NetnsError'
    this.code = code
    this.path = path
  }

  /** The namespace is no more; any other error says nothing of it. */
  get isGone(): boolean {
    return ['ENOENT', 'ENOTNETNS', 'ENOTDIR'].includes(this.code)
  }
}

export class Netns {
  readonly path: string
  /** Names the namespace for RTM_NEWLINK (IFLA_NET_NS_FD) and setns(2). */
  readonly fd: number
  /** Unique among the namespaces that live now; a later one may get it again. */
  readonly inode: string
  readonly #home: number
  #closed = false

  private constructor(path: string, fd: number, inode: string, home: number) {
    this.path = path
    this.fd = fd
    this.inode = inode
    this.#home = home
  }

  /** @throws NetnsError ENOENT when nothing is there, ENOTNETNS when it is no network namespace */
  static open(path: string): Netns {
    const { fd, inode } = openNamespaceFile(path)
    const netns = new Netns(path, fd, inode, home().fd)
    try {
      // Of all namespaces, setns with CLONE_NEWNET takes network namespaces only.
      netns.enter(() => undefined)
    } catch (cause) {
      closeSync(fd)
      const { errno = EINVAL } = cause as Error & { errno?: number }
      if (errno !== EINVAL) throw refusal(path, errno, cause)
      throw new NetnsError('ENOTNETNS', path, 'this is a namespace, but not one of the network', cause)
    }
    return netns
  }

  /** A new one without a name: it ends when it is closed and nothing else holds it. @throws Error with `errno` */
  static create(): Netns {
    const native = loadNative()
    const { fd: homeFd } = home()
    native.unshareNet()
    try {
      const { fd, inode } = openNamespaceFile(OWN_NAMESPACE)
      return new Netns(`/proc/self/fd/${fd}`, fd, inode, homeFd)
    } finally {
      goHome(native, homeFd)
    }
  }

  /** The namespace that this process runs in: the node's. */
  static own(): Netns {
    const { fd, inode } = home()
    return new Netns(OWN_NAMESPACE, fd, inode, fd)
  }

  isSameAs(other: Netns): boolean {
    return this.inode === other.inode
  }

  /** Runs `work` inside the namespace. It must be synchronous, and enters no other. @throws NetnsError EBADF after `close` */
  enter<T>(work: () => T extends PromiseLike<unknown> ? never : T): T {
    // The number of a closed descriptor soon is another file's, maybe another namespace's.
    if (this.#closed) throw refusal(this.path, EBADF)
    if (isAway)
      throw new TypeError(`enter ${this.path}: inside another one, whose way back would be cut short`)
    if (this.fd === this.#home) return work()
    const native = loadNative()
    native.setns(this.fd)
    isAway = true
    try {
      return work()
    } finally {
      isAway = false
      goHome(native, this.#home)
    }
  }

  close(): void {
    if (this.fd !== this.#home && !this.#closed) closeSync(this.fd)
    this.#closed = this.fd !== this.#home
  }
}

function goHome(native: Native, home: number): void {
  try {
    native.setns(home)
  } catch {
    native.abort()
  }
}

function refusal(path: string, errno: number, cause?: unknown): NetnsError {
  return new NetnsError(getSystemErrorName(-errno), path, getSystemErrorMessage(-errno), cause)
}

/** The thread is inside another namespace than its own. */
let isAway = false

let homeFile: { fd: number; inode: string } | undefined

function home(): { fd: number; inode: string } {
  homeFile ??= openNamespaceFile(OWN_NAMESPACE)
  return homeFile
}

function openNamespaceFile(path: string): { fd: number; inode: string } {
  const file = tryOpen(path)
  if (file === undefined) throw new NetnsError('ENOTNETNS', path, 'this file is not a namespace')
  return file
}

function tryOpen(path: string): ReturnType<Native['openNamespace']> {
  try {
    return loadNative().openNamespace(path)
  } catch (thrown) {
    const { errno = EINVAL } = thrown as Error & { errno?: number }
    throw refusal(path, errno, asNodeError(thrown, path))
  }
}
