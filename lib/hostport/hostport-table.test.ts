import { NftFake } from '../nftables/nft-fake.ts'
import { hostportTableContract } from './hostport-table.contract.ts'

hostportTableContract('fake', () => {
  const nft = new NftFake()
  return { nft, dump: () => nft.dump() }
})
