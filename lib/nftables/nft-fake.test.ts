import { nftContract } from './nft.contract.ts'
import { NftFake } from './nft-fake.ts'
import { podwireTableContract } from './podwire-table.contract.ts'
import { spoofTableContract } from './spoof-table.contract.ts'

function open() {
  const nft = new NftFake()
  return { nft, dump: () => nft.dump() }
}

nftContract('fake', open)
podwireTableContract('fake', open)
spoofTableContract('fake', open)
