// A kernel that lacks something: messages are changed on their way to the one that is there.

import type { Transport } from '../netlink/connection.ts'

/** @param change  told where each message's header (struct nlmsghdr) is in the datagram */
export function olderKernel(
  transport: Transport,
  change: (datagram: DataView, at: number) => void,
): Transport {
  return {
    listen: (...handlers) => transport.listen(...handlers),
    receive: () => transport.receive?.(),
    close: () => transport.close(),
    send(datagram) {
      const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
      for (let at = 0; at < datagram.length; at += (view.getUint32(at, true) + 3) & ~3) change(view, at)
      return transport.send(datagram)
    },
  }
}
