// The contract on a kernel before Linux 6.3, which knows no destroys: those of this one are made unknown to it.

import tap from 'tap'
import type { Transport } from '../netlink/connection.ts'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { makeNamespace } from '../testing/netns.ts'
import { MESSAGES } from './messages.ts'
import { nftContract } from './nft.contract.ts'
import { NftSocket } from './nft-socket.ts'
import { podwireTableContract } from './podwire-table.contract.ts'

const DESTROYS = Object.values(MESSAGES).map(({ DESTROY }) => DESTROY.type)
const UNKNOWN_MESSAGE = 0x0aff

/** The kernel before Linux 6.3: message types that it does not know are refused. */
function withoutDestroyMessages(transport: Transport): Transport {
  return {
    listen: (...handlers) => transport.listen(...handlers),
    receive: () => transport.receive?.(),
    close: () => transport.close(),
    send(datagram) {
      const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
      for (let at = 0; at < datagram.length; at += (view.getUint32(at, true) + 3) & ~3) {
        if (DESTROYS.includes(view.getUint16(at + 4, true) as never))
          view.setUint16(at + 4, UNKNOWN_MESSAGE, true)
      }
      transport.send(datagram)
    },
  }
}

const ns = makeNamespace(tap, 'nft')

function open(t: { teardown(work: () => void): void }) {
  ns.run('nft', 'flush', 'ruleset')
  const transport = () => withoutDestroyMessages(ns.netns.enter(() => openSocket(NETLINK_NETFILTER)))
  const nft = new NftSocket(transport)
  t.teardown(() => nft.close())
  return { nft, dump: () => ns.run('nft', '-sy', 'list', 'ruleset') }
}

nftContract('kernel without destroy', open)
podwireTableContract('kernel without destroy', open)
