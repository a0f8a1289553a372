// Asks the kernel by a relay: by one that is always wanted, as in a daemon that attaches several pods, or by another.

import type { Transport } from '../netlink/connection.ts'
import { Relay } from '../netlink/relay.ts'
import { openSocket, type SocketOptions } from '../netlink/socket.ts'
import type { Netns } from '../netns/netns.ts'

const always = new Relay({ isWanted: () => true, onAnswered: () => undefined })

export function openRelayed(
  netns: Netns,
  protocol: number,
  { relay = always, ...options }: SocketOptions & { readonly relay?: Relay } = {},
): Transport {
  const openDirect = () => netns.enter(() => openSocket(protocol, options))
  if (options.groups !== undefined) return openDirect()
  return relay.transport({ openDirect, openRelayed: () => netns.enter(() => relay.open(protocol)) })
}
