// ADD: the pod's addresses become elements, and other firewalls get a rule that lets pods through.

import { addChained } from '../../lib/attach/chained.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import { addFirewalled } from '../../lib/firewall/firewall-table.ts'
import { passForeignChains } from '../../lib/firewall/foreign-chains.ts'
import { ownerText } from '../../lib/host/owner.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { isFamilyMissing, NftError } from '../../lib/nftables/error.ts'
import { type FirewallRecord, firewalledOf } from './attachment.ts'
import { adminChainsOf, firewall, listRecords, ownerOf, packetOf, restore } from './firewall.ts'

export async function add(ports: Ports, request: Request): Promise<Result> {
  return addChained(ports, request, { ...firewall, make })
}

async function make(
  ports: Ports,
  request: Request,
  { record, prevResult }: { record: FirewallRecord; prevResult: Result },
): Promise<Result> {
  await protect(ports, request, record)
  await letThrough(ports, record)
  return prevResult
}

export async function protect(ports: Ports, request: Request, record: FirewallRecord): Promise<void> {
  const { nft } = ports.kernel.host
  const adminChains = adminChainsOf(listRecords(ports))
  const options = { owner: ownerOf(request), adminChains }
  const isMended = await addFirewalled(nft, firewalledOf(record), options).catch(explainNoBridgeFamily)
  if (isMended) await restoreOthers(ports, request)
}

function explainNoBridgeFamily(cause: unknown): never {
  if (!isFamilyMissing(cause) || !cause.operation.includes('bridge podwire')) throw cause
  throw new CniError(CNI_CODE.internal, cause.message, {
    details:
      'ingressPolicy "isolated" needs nftables for bridges: a kernel with CONFIG_NF_TABLES_BRIDGE; "same-bridge" does not',
    cause,
  })
}

export async function letThrough(ports: Ports, record: FirewallRecord): Promise<void> {
  try {
    await passForeignChains(ports.kernel.host.nft, packetOf(ports, record))
  } catch (cause) {
    if (!(cause instanceof NftError)) throw cause
    throw new CniError(CNI_CODE.internal, `other firewalls drop what pods send: ${cause.message}`, {
      details:
        'the table belongs to a program that lets nobody else change it (NftablesTableOwner of firewalld); ' +
        'allow pods there: firewall-cmd --permanent --zone=trusted --add-source=<pods’ subnet> && firewall-cmd --reload',
      cause,
    })
  }
}

/** The table was not as we make it: flushed, most likely, and with it went what other pods had there. */
async function restoreOthers(ports: Ports, request: Request): Promise<void> {
  const own = ownerOf(request)
  for (const other of listRecords(ports).filter((one) => ownerText(one) !== own)) await restore(ports, other)
}
