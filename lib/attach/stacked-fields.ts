// Fields of the configs of plugins whose interface lies on another link.

import { CNI_CODE, CniError } from '../cni/errors.ts'
import { type Dns, dnsSchema } from '../cni/result.ts'
import {
  boolean,
  checkedLater,
  type Infer,
  integer,
  object,
  parsed,
  type Schema,
  string,
} from '../cni/schema.ts'
import { isSelf } from './ipam.ts'

export const stackedFields = {
  master: string({ doc: 'the link that it lies on' }),
  mtu: integer({ doc: 'MTU, not above that of master' }),
  linkInContainer: boolean({ doc: 'master is inside the pod' }),
  dns: dnsSchema,
  ipam: object({ type: string({ doc: 'the IPAM plugin; without it the pod gets a link and no address' }) }),
} as const

type StackedFields = {
  readonly [K in keyof typeof stackedFields]: Infer<(typeof stackedFields)[K]>
}

/** @throws CniError 7 for the plugin itself as its IPAM plugin */
export function stackedNetconf(
  { master, mtu, linkInContainer: inPod, dns, ipam }: StackedFields,
  plugin: string,
) {
  return { master, mtu, inPod, ipam: requireIpamType(ipam.type, plugin), dns: saidDns(dns) }
}

/** The words of the error are upstream's. */
export function modeField<const V extends string>(
  kind: string,
  modes: readonly V[],
  doc: string,
): Schema<V | undefined> {
  const field = parsed(string({ doc }), (text) => {
    const mode = modes.find((one) => one === text)
    if (mode !== undefined) return mode
    const details = `mode: one of ${modes.join(', ')}`
    throw new CniError(CNI_CODE.invalidNetconf, `unknown ${kind} mode: ${JSON.stringify(text)}`, { details })
  })
  return checkedLater(field, { values: modes })
}

export function requireIpamType(type: string, plugin: string): string {
  if (!isSelf(type, plugin)) return type
  throw new CniError(CNI_CODE.invalidNetconf, `ipam.type: ${JSON.stringify(type)} is no IPAM plugin`)
}

/** @returns undefined where nothing is said: then the IPAM's stands */
export function saidDns(dns: Dns): Dns | undefined {
  const { nameservers = [], domain = '', search = [], options = [] } = dns
  return nameservers.length + domain.length + search.length + options.length === 0 ? undefined : dns
}
