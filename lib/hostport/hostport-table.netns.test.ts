import tap from 'tap'
import { NETLINK_NETFILTER, openSocket } from '../netlink/socket.ts'
import { NftSocket } from '../nftables/nft-socket.ts'
import { makeNamespace } from '../testing/netns.ts'
import { hostportTableContract } from './hostport-table.contract.ts'

const ns = makeNamespace(tap, 'hp')

hostportTableContract('kernel', (t) => {
  ns.run('nft', 'flush', 'ruleset')
  const nft = new NftSocket(() => ns.netns.enter(() => openSocket(NETLINK_NETFILTER)))
  t.teardown(() => nft.close())
  return { nft, dump: () => ns.run('nft', '-sy', 'list', 'ruleset') }
})
