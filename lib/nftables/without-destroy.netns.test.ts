// The contract on a kernel before Linux 6.3, which knows no destroys: those of this one are made unknown to it.

import tap, { test } from 'tap'
import type { Transport } from '../netlink/connection.ts'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { makeNamespace } from '../testing/netns.ts'
import { olderKernel } from '../testing/older-kernel.ts'
import { MESSAGES } from './messages.ts'
import { nftContract } from './nft.contract.ts'
import { NftSocket } from './nft-socket.ts'
import { podwireTableContract } from './podwire-table.contract.ts'
import type { NftSet } from './set.ts'

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

const openTransport = () => withoutDestroyMessages(ns.netns.enter(() => openSocket(NETLINK_NETFILTER)))

function open(t: { teardown(work: () => void): void }, transport = openTransport) {
  ns.run('nft', 'flush', 'ruleset')
  const nft = new NftSocket(transport)
  t.teardown(() => nft.close())
  return { nft, dump: () => ns.run('nft', '-sy', 'list', 'ruleset') }
}

nftContract('kernel without destroy', open)
podwireTableContract('kernel without destroy', open)

test('kernel without destroy destroys what another is quicker to delete', async (t) => {
  let isThere = true
  const rival = (datagram: DataView, at: number) => {
    if (!isThere || datagram.getUint16(at + 4, true) !== MESSAGES.element.DEL.type) return
    isThere = false
    ns.run('nft', 'delete', 'element', 'inet', 'race', 'addresses', '{ 10.0.0.1 }')
  }
  const { nft, dump } = open(t, () => olderKernel(openTransport(), rival))
  const addresses: NftSet = {
    table: { family: 'inet', name: 'race' },
    name: 'addresses',
    type: ['ipv4_addr'],
  }
  await nft.apply([
    { verb: 'add', table: addresses.table },
    { verb: 'add', set: addresses },
    { verb: 'add', elementsOf: addresses, elements: [{ key: ['10.0.0.1'] }] },
  ])
  await nft.apply([
    { verb: 'destroy', elementsOf: addresses, elements: [{ key: ['10.0.0.1'] }] },
    { verb: 'add', elementsOf: addresses, elements: [{ key: ['10.0.0.2'] }] },
  ])
  t.notOk(isThere, 'it was deleted between look and delete')
  t.match(dump(), /elements = \{ 10\.0\.0\.2 \}/)
})
