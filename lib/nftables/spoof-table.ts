// The table `bridge podwire`: frames from a pod's port whose source MAC is not the pod's are dropped, before the
// bridge learns from them. It may be shared by several processes, and be taken from us by others (flush ruleset).
//
//   table bridge podwire {
//     set checked_ports { type ifname; elements = { "veth0a1b2c3d" comment "net 0a1b eth0" } }
//     set port_macs {
//       type ifname . ether_addr
//       elements = { "veth0a1b2c3d" . 0a:58:0a:01:00:05 comment "net 0a1b eth0" }
//     }
//     chain prerouting {
//       type filter hook prerouting priority -300; policy accept;
//       iifname @checked_ports iifname . ether saddr != @port_macs drop
//     }
//   }
//
// A pod is two elements; a frame from a port that is not checked costs one look into a hash table.

import { type MacAddress, parseMac } from '../ip/mac.ts'
import { applyIfThere } from './apply-if-there.ts'
import { baseText, type NftChain } from './chain.ts'
import type { NftElement } from './element.ts'
import { etherSaddr, iifname } from './field.ts'
import type { Nft } from './nft.ts'
import type { NftOperation } from './operation.ts'
import { bodyText, isSameBody, type NftRule, type NftRuleState } from './rule.ts'
import { type NftSet, setName } from './set.ts'
import { drop, inSet, notInSet } from './statement.ts'
import type { NftTable } from './table.ts'

export interface SpoofGuard {
  /** The pod's port on the bridge. */
  readonly port: string
  /** The pod's: no frame may come from another. */
  readonly mac: MacAddress
  /** Whose it is: `<network> <containerId> <ifname>`; 253 bytes at most, no double quotes. */
  readonly comment: string
}

export const spoofTable: NftTable = {
  family: 'bridge',
  name: 'podwire',
  comment: 'pods wired by podwire: changes are found and undone',
}

/** Before ebtables and all that looks at addresses. */
const PRIORITY_FIRST = -300

const checkedPorts: NftSet = {
  table: spoofTable,
  name: 'checked_ports',
  type: ['ifname'],
  comment: 'ports of pods that may use their own MAC only',
}
const portMacs: NftSet = {
  table: spoofTable,
  name: 'port_macs',
  type: ['ifname', 'ether_addr'],
  comment: 'the MAC that each of them may use',
}

const prerouting: NftChain = {
  table: spoofTable,
  name: 'prerouting',
  base: { type: 'filter', hook: 'prerouting', priority: PRIORITY_FIRST, policy: 'accept' },
}
const rule: NftRule = {
  chain: prerouting,
  body: [inSet([iifname], checkedPorts), notInSet([iifname, etherSaddr], portMacs), drop],
}

/** Makes it, whatever part of it is there; rules that are not ours go, elements stay. */
function tableOperations(present: readonly NftChain[]): NftOperation[] {
  const hooked = present.find(({ name }) => name === prerouting.name)
  const isWrong = hooked !== undefined && hookText(hooked) !== hookText(prerouting)
  return [
    { verb: 'add', table: spoofTable },
    { verb: 'add', set: checkedPorts },
    { verb: 'add', set: portMacs },
    ...(isWrong ? [{ verb: 'destroy', chain: prerouting } as const] : []),
    { verb: 'add', chain: prerouting },
    { verb: 'flush', chain: prerouting },
    { verb: 'add', rule },
  ]
}

function hookText({ base }: NftChain): string {
  return base === undefined ? 'no hook' : baseText(base)
}

const quoted = (port: string) => `"${port}"`
const portElement = ({ port, comment }: SpoofGuard): NftElement => ({ key: [quoted(port)], comment })
const macElement = ({ port, mac, comment }: SpoofGuard): NftElement => ({ key: [quoted(port), mac], comment })

/**
 * Guards pods' ports, in one transaction; where the table is not as it should be, it is made so.
 *
 * @throws NftError EOPNOTSUPP where the kernel has no nftables for bridges (CONFIG_NF_TABLES_BRIDGE)
 */
export async function addSpoofGuards(nft: Nft, guards: readonly SpoofGuard[]): Promise<void> {
  const elements = (['destroy', 'add'] as const).flatMap((verb): NftOperation[] => [
    { verb, elementsOf: checkedPorts, elements: guards.map(portElement) },
    { verb, elementsOf: portMacs, elements: guards.map(macElement) },
  ])
  if ((await applyIfThere(nft, elements)) && (await checkSpoofTable(nft)).length === 0) return
  await nft.apply([...tableOperations(await nft.listChains(spoofTable)), ...elements])
}

/** What is not there is fine; what is another's by its comment stays. */
export async function removeSpoofGuards(nft: Nft, guards: readonly SpoofGuard[]): Promise<void> {
  for (const guard of guards) {
    const { key } = portElement(guard)
    const pair = macElement(guard).key
    const [port, mac] = [await nft.findElement(checkedPorts, key), await nft.findElement(portMacs, pair)]
    const operations: NftOperation[] = [
      ...(port?.comment === guard.comment ? [remove(checkedPorts, key)] : []),
      ...(mac?.comment === guard.comment ? [remove(portMacs, pair)] : []),
    ]
    if (operations.length > 0) await applyIfThere(nft, operations)
  }
}

function remove(elementsOf: NftSet, key: readonly string[]): NftOperation {
  return { verb: 'destroy', elementsOf, elements: [{ key }] }
}

/** Every port that is guarded, for garbage collection: whose it is, its comment says. */
export async function listSpoofGuards(nft: Nft): Promise<SpoofGuard[]> {
  const elements = await nft.listElements(portMacs)
  return elements.map(({ key: [port = '', mac = ''], comment = '' }) => ({
    port: port.replaceAll('"', ''),
    mac: parseMac(mac),
    comment,
  }))
}

/** What stands between the kernel's state and the ports being guarded, a text each. */
export async function checkSpoofGuards(nft: Nft, guards: readonly SpoofGuard[]): Promise<string[]> {
  if (guards.length === 0) return [] // then the table need not be there
  const differences = await checkSpoofTable(nft)
  for (const guard of guards) {
    for (const [set, expected] of [
      [checkedPorts, portElement(guard)],
      [portMacs, macElement(guard)],
    ] as const) {
      const actual = await nft.findElement(set, expected.key)
      const subject = `element ${setName(set)} { ${expected.key.join(' . ')} }`
      if (actual === undefined) differences.push(`${subject}: missing`)
      else if (actual.comment !== guard.comment)
        differences.push(`${subject}: is of ${JSON.stringify(actual.comment ?? '')}`)
    }
  }
  return differences
}

/** The same for what all guarded ports share. */
export async function checkSpoofTable(nft: Nft): Promise<string[]> {
  const subject = `chain bridge podwire ${prerouting.name}`
  const chain = (await nft.listChains(spoofTable)).find(({ name }) => name === prerouting.name)
  if (chain === undefined) return [`${subject}: missing`]
  const found = hookText(chain)
  if (found !== hookText(prerouting))
    return [`${subject}: ${JSON.stringify(found)} instead of ${JSON.stringify(hookText(prerouting))}`]
  return ruleDifferences(subject, await nft.listRules(spoofTable, prerouting.name))
}

function ruleDifferences(subject: string, [first, ...more]: readonly NftRuleState[]): string[] {
  if (first === undefined || !isSameBody(rule, first))
    return [`${subject}: no rule ${JSON.stringify(bodyText(rule))} in its place`]
  return more.length === 0 ? [] : [`${subject}: ${more.length} rule${more.length === 1 ? '' : 's'} too many`]
}
