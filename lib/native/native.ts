// The native addons: our own (native/addon.c) and that of the npm package `netlink`.
//
// Loading one costs a file and a dlopen, so nothing here runs before it is asked for. From source the addons lie
// in the tree; in the single executable they are assets, and are written to a file first (extract.ts).

import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { getAssetKeys, getRawAsset, isSea } from 'node:sea'

import { AddonError, loadFromFirst } from './extract.ts'

/** The system calls of native/addon.c. Those that fail throw an Error with `errno` (a number) and `syscall`. */
export interface Native {
  /** Moves the calling thread into the network namespace behind `fd`. */
  setns(fd: number): void
  /** Moves the calling thread into a new network namespace, which ends with the last that is open of it. */
  unshareNet(): void
  /**
   * Without LOCK_NB it blocks the thread, for `timeoutMs` at most.
   *
   * @returns false when another holds the lock
   */
  flock(fd: number, operation: number, timeoutMs: number): boolean
  /**
   * Locks or unlocks one byte of a file, against other processes: those who share the descriptor share the lock.
   *
   * @param offset  the byte, 0 to 2^53 - 1; the file need not be that long
   * @param timeoutMs  how long it may block the thread
   * @returns false when another holds the lock
   */
  lockByte(fd: number, offset: number, lock: boolean, timeoutMs: number): boolean
  /** Writes into a file that is there: three system calls, of which Node.js would make as many calls with checks. */
  writeFile(path: string, text: string): void
  /**
   * Sets extended errors (and strict checking, on rtnetlink) on the netlink socket bound to `port`.
   *
   * @returns its descriptor
   */
  configureNetlink(protocol: number, port: number): number
  /** A socket with the same options, in the namespace of the calling thread. @returns its descriptor, the caller's to close */
  openNetlink(protocol: number): number
  /** From now on the socket, of rtnetlink, gets messages of this type (nlmsg_type) and family only. */
  filterMessages(fd: number, type: number, family: number): void
  /**
   * Writes to a file, pipe, socket or terminal what it takes without waiting: of a pipe, where there is room, 4096 bytes.
   *
   * @returns how many bytes; 0 when there is no room
   */
  writeNow(fd: number, bytes: Uint8Array): number
  /** Sends one datagram on a netlink socket. */
  send(fd: number, datagram: Uint8Array): void
  /** A datagram that has come already. @returns undefined when there is none */
  receive(fd: number): Uint8Array | undefined
  /**
   * Sends a datagram, and waits on another thread until its last message is acknowledged, refused, or the list that it asks
   * for is at its end.
   *
   * @param fd  of `openNetlink`; it is closed by this
   * @returns the datagrams that came, and last, where the socket broke, the errno of that
   */
  converse(fd: number, datagram: Uint8Array): Promise<readonly (Uint8Array | number)[]>
  /**
   * Sends a datagram on a netlink socket and receives what is answered, on one other thread, in the order of the calls.
   * Nobody else may read the socket, and it stays open until the promise is resolved.
   *
   * @returns the datagrams that came, and last, where the socket broke, the errno of that
   */
  relay(fd: number, datagram: Uint8Array): Promise<readonly (Uint8Array | number)[]>
  /**
   * Listens on a unix socket that is made at the path. Each client is told of when it comes, with what it has said by then
   * (mostly all; else nothing), then with what more it says, and at last as undefined: it has closed, or has read what
   * `endClient` kept for it. Then its number is another's.
   *
   * @returns hears no new clients; the socket's file stays. To be called once
   */
  serve(
    path: string,
    backlog: number,
    onEvent: (client: number, bytes: Buffer | undefined) => void,
  ): () => void
  /** Whether it has closed its end; that is told as an event only in a turn of the event loop. */
  isClientGone(client: number): boolean
  /** The process that has connected (SO_PEERCRED); 0 when it is in a namespace of processes that cannot be seen from here. */
  clientPid(client: number): number
  /** Sends a few bytes; a client that reads nothing gets none. */
  tellClient(client: number, bytes: Uint8Array): void
  /**
   * Sends the last bytes, and closes.
   *
   * @param hasHeardAll  whether the client has nothing more to say; else it is waited for, so that it reads what it is told
   * @returns whether that is done; else it goes on as the client reads, and its end is told
   */
  endClient(client: number, bytes: Uint8Array, hasHeardAll: boolean): boolean
  /** Closes, whatever there is to be sent. */
  dropClient(client: number): void
  /** @returns a descriptor of the connection, for something else to go on with */
  takeClient(client: number): number
  /** Device and inode of what is behind a path, in hex (`fd01:1f`); undefined for what cannot be looked at. */
  identify(path: string): string | undefined
  /** The type of what a path leads to, of S_IFMT (node:fs has them as constants); 0 when nothing is there. */
  kindOf(path: string): number
  /** Whether the path leads to what is open. */
  isSameFile(fd: number, path: string): boolean
  /** Two files, directories or one of each change places at once (RENAME_EXCHANGE). EINVAL where the file system cannot. */
  exchange(one: string, other: string): void
  /** @returns undefined when the file is no namespace, of whatever kind */
  openNamespace(path: string): { fd: number; inode: string } | undefined
  /** A file of /proc that is open, from its start: 4 KiB at most, as Latin-1. */
  readText(fd: number): string
  /**
   * Of the calling thread alone: threads and processes that it makes have none that is below 0.
   *
   * @returns false where the thread has another scheduling policy than the usual, which is left as it is
   */
  setNice(nice: number): boolean
  /** What the calling thread has worked, in milliseconds. */
  threadCpuMs(): number
  /** Gives the kernel back what malloc(3) keeps free, on another thread. */
  trimMemory(): Promise<void>
  /** Latin-1, without a copy: as long as the text is used, nobody may write to the bytes. */
  textIn(bytes: ArrayBuffer): string
  /** _exit(2): no handlers, no flushing. */
  exit(status: number): never
  abort(): never
}

type AddonName = 'podwire' | 'netlink'

const PROJECT = join(import.meta.dirname, '../..')

const SOURCE_FILES: Readonly<Record<AddonName, string>> = {
  podwire: 'dist/native/podwire.node',
  netlink: `node_modules/netlink/prebuilds/linux-${process.arch}/node.napi.node`,
}

const loaded = new Map<AddonName, unknown>()

/**
 * Our own addon, loaded once.
 *
 * @throws AddonError when it can be loaded from nowhere; the message says what was tried and what to do
 */
export function loadNative(): Native {
  return load('podwire') as Native
}

/** @returns undefined when nothing has loaded it */
export function findNative(): Native | undefined {
  return loaded.get('podwire') as Native | undefined
}

/**
 * The binding of the npm package `netlink`. The bundle has it in place of node-gyp-build (scripts/bundle.ts).
 *
 * @public
 * @throws AddonError as `loadNative` does
 */
export function loadNetlinkBinding(): unknown {
  return load('netlink')
}

function load(name: AddonName): unknown {
  const known = loaded.get(name)
  if (known !== undefined) return known
  const exports = isSea() ? loadAsset(name) : openAddon(join(PROJECT, SOURCE_FILES[name]))
  loaded.set(name, exports)
  return exports
}

/** Assets are called `<addon>-<hash of the content>.node` by scripts/build.ts. */
function loadAsset(name: AddonName): unknown {
  const file = getAssetKeys().find((key) => key.startsWith(`${name}-`))
  if (file === undefined) throw new AddonError(name, 'not in this executable')
  return loadFromFirst(candidates(), { file, content: new Uint8Array(getRawAsset(file)) }, openAddon)
}

/** Where addons may be written, best first. /run and /tmp are often mounted noexec. */
function candidates(): string[] {
  return [join(dirname(process.execPath), '.podwire'), '/var/lib/podwire/native', '/run/podwire/native']
}

function openAddon(path: string): unknown {
  const module = { exports: {} }
  process.dlopen(module, path, constants.dlopen.RTLD_NOW)
  return module.exports
}
