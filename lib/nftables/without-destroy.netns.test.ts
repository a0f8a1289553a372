// The contract on a kernel before Linux 6.3, which knows no destroys: those of this one are made unknown to it.

import tap from 'tap'
import type { Transport } from '../netlink/connection.ts'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { makeNamespace } from '../testing/netns.ts'
import { olderKernel } from '../testing/older-kernel.ts'
import { MESSAGES } from './messages.ts'
import { nftContract } from './nft.contract.ts'
import { NftSocket } from './nft-socket.ts'
import { podwireTableContract } from './podwire-table.contract.ts'

const DESTROYS = Object.values(MESSAGES).map(({ DESTROY }) => DESTROY.type)
const UNKNOWN_MESSAGE = 0x0aff

/** Message types that a kernel does not know are refused. */
function withoutDestroyMessages(transport: Transport): Transport {
  return olderKernel(transport, (datagram, at) => {
    if (DESTROYS.includes(datagram.getUint16(at + 4, true) as never))
      datagram.setUint16(at + 4, UNKNOWN_MESSAGE, true)
  })
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
