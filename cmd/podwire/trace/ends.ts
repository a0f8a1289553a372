// From where to where a packet goes: pods of this node, the node itself, or an address.

import type { Ports } from '../../../lib/host/ports.ts'
import { AddressError, type Family, IpAddress } from '../../../lib/ip/address.ts'
import { type Attached, findPod, listAttached, podText } from '../attached.ts'
import { CommandError } from '../command.ts'

export type End =
  | { readonly kind: 'pod'; readonly pod: Attached; readonly address: IpAddress }
  /** Its address is what its routes choose. */
  | { readonly kind: 'node' }
  | { readonly kind: 'address'; readonly address: IpAddress }

export const NODE = 'node'

/** Those that have a namespace. */
export function listPods(ports: Ports): Attached[] {
  return listAttached(ports).filter(({ state }) => state !== 'gone')
}

export function addressesOf({ fields }: Attached): IpAddress[] {
  return fields.ips.map(({ address }) => IpAddress.parse(address.split('/')[0] ?? ''))
}

export function hasAddress(pod: Attached, address: IpAddress): boolean {
  return addressesOf(pod).some((own) => own.equals(address))
}

/**
 * @param family  where both have addresses of both: IPv4 unless it is said
 * @throws CommandError when one is not known, or they have no family in common
 */
export function parseEnds(
  ports: Ports,
  [source, dst]: readonly [string, string],
  family: Family | undefined,
): { from: End; to: End } {
  const texts = [source, dst] as const
  const addresses = texts.map((text) => parseAddress(text))
  const given = addresses.find((address) => address !== undefined)?.family ?? family
  const families = given === undefined ? ([4, 6] as const) : [given]
  for (const one of families) {
    const [from, to] = texts.map((text, i) => parseEnd(ports, text, { address: addresses[i], family: one }))
    if (from !== undefined && to !== undefined) return { from, to }
  }
  throw new CommandError(
    `${source} and ${dst} have no addresses of one family`,
    'podwire list tells their addresses',
  )
}

function parseAddress(text: string): IpAddress | undefined {
  try {
    return IpAddress.parse(text)
  } catch (error) {
    if (error instanceof AddressError) return undefined
    throw error
  }
}

/** @returns undefined when it has no address of the family */
function parseEnd(
  ports: Ports,
  text: string,
  { address, family }: { address: IpAddress | undefined; family: Family },
): End | undefined {
  if (address !== undefined) {
    if (address.family !== family) return undefined
    const pod = listPods(ports).find((one) => hasAddress(one, address))
    return pod === undefined ? { kind: 'address', address } : { kind: 'pod', pod, address }
  }
  if (text === NODE) return { kind: 'node' }
  for (const pod of findPod(ports, text)) {
    const own = addressesOf(pod).find((one) => one.family === family)
    if (own !== undefined) return { kind: 'pod', pod, address: own }
  }
  return undefined
}

export function endText(end: End): string {
  switch (end.kind) {
    case 'pod':
      return `${podText(end.pod)} (${end.address})`
    case 'node':
      return 'the node'
    case 'address':
      return String(end.address)
  }
}
