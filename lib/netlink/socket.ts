// The one user of the npm package `netlink`: a netlink(7) socket and its place in the event loop. Only the
// package's lowest module is used (docs/adr/0001-netlink.md).

import { RawNetlinkSocket } from 'netlink/dist/raw.js'
import { loadNative } from '../native/native.ts'
import type { Transport } from './connection.ts'

export const NETLINK_ROUTE = 0
export const NETLINK_NETFILTER = 12

/** Larger than any datagram that the kernel makes for a dump (it goes by the reader's buffer, 32 KiB at most). */
const RECEIVE_BUFFER_BYTES = 64 * 1024
const EMSGSIZE = 90

/**
 * Opens a socket in the network namespace that the calling thread is in now; the socket stays there.
 *
 * @param groups  multicast groups to join: RTNLGRP_LINK, …
 * @throws Error with `errno` when the kernel refuses the socket
 */
export function openSocket(protocol: number, groups: readonly number[] = []): Transport {
  const socket = new RawNetlinkSocket(protocol, {
    messagePeeking: false,
    msgBufferSize: RECEIVE_BUFFER_BYTES,
  } as never) // its type demands buffer sizes that its code treats as optional
  const native = loadNative()
  const fd = native.configureNetlink(protocol, socket.address().port)
  for (const group of groups) socket.addMembership(group)
  return {
    // The package sends a second datagram only in the next turn of the event loop.
    send: (datagram) => native.send(fd, datagram),
    receive: () => native.receive(fd),
    listen(onDatagram, onError) {
      socket.on('message', onDatagram)
      socket.on('truncatedMessage', () =>
        onError(Object.assign(new Error('datagram larger than the buffer'), { errno: EMSGSIZE })),
      )
      socket.on('error', onError)
    },
    close: () => socket.close(),
  }
}

/**
 * Sends requests from a socket of their own, in the namespace that the calling thread is in now, and waits on another
 * thread: for what the kernel takes long to answer.
 *
 * @param seq  the sequence number of the last message, which asks for an acknowledgement
 * @returns the errno in it, 0 for success
 */
export function exchangeOnThread(
  protocol: number,
  datagram: Uint8Array,
  seq: number,
): { answer: Promise<number> } {
  return { answer: loadNative().exchange(protocol, datagram, seq) }
}
