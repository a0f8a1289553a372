// `macspoofchk`: frames that a pod sends from another MAC than its own are dropped at its port.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Undo } from '../../lib/host/undo.ts'
import { isFamilyMissing } from '../../lib/nftables/error.ts'
import type { Nft } from '../../lib/nftables/nft.ts'
import { addSpoofGuards, removeSpoofGuards, type SpoofGuard } from '../../lib/nftables/spoof-table.ts'

export async function guardMacs(nft: Nft, guards: readonly SpoofGuard[], undo: Undo): Promise<void> {
  undo.push('remove the guard of the MAC', () => removeSpoofGuards(nft, guards))
  await addSpoofGuards(nft, guards).catch(explainNoBridgeFamily)
}

function explainNoBridgeFamily(cause: unknown): never {
  if (!isFamilyMissing(cause)) throw cause
  throw new CniError(CNI_CODE.internal, cause.message, {
    details: '"macspoofchk" needs nftables for bridges: a kernel with CONFIG_NF_TABLES_BRIDGE',
    cause,
  })
}
