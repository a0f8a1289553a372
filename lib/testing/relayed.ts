// Asks the kernel by the relay, whatever there is to do: as a daemon does that attaches several pods.

import type { Transport } from '../netlink/connection.ts'
import { Relay } from '../netlink/relay.ts'
import { openSocket, type SocketOptions } from '../netlink/socket.ts'
import type { Netns } from '../netns/netns.ts'

const relay = new Relay({ isWanted: () => true, onAnswered: () => undefined })

export function openRelayed(netns: Netns, protocol: number, options?: SocketOptions): Transport {
  const openDirect = () => netns.enter(() => openSocket(protocol, options))
  if (options?.groups !== undefined) return openDirect()
  return relay.transport({ openDirect, openRelayed: () => netns.enter(() => relay.open(protocol)) })
}
