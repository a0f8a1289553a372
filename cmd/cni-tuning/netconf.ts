// The config of `cni-tuning`. What the runtime says comes before the config: args.cni first, then runtimeConfig, then
// CNI_ARGS. The words of errors are upstream's.

import { requireKnownArgs } from '../../lib/cni/args.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { boolean, decode, type Infer, integer, map, object, optional, string } from '../../lib/cni/schema.ts'
import { writtenKeys } from '../../lib/cni/written-keys.ts'
import { type MacAddress, parseMac } from '../../lib/ip/mac.ts'
import { parseSysctlKey } from './sysctl-key.ts'

const fields = {
  sysctl: map(string(), {
    doc: 'sysctls below net, with their values; IFNAME in a name stands for the pod’s interface',
  }),
  mac: optional(string({ doc: 'MAC address of the pod’s interface' })),
  promisc: optional(boolean({ doc: 'promiscuous mode' })),
  mtu: optional(integer({ min: 0, doc: 'MTU; 0: as it is' })),
  allmulti: optional(boolean({ doc: 'all-multicast mode' })),
  txQLen: optional(integer({ min: 0, doc: 'length of the transmit queue' })),
} as const

export const netconfSchema = object({
  ...fields,
  dataDir: string({ doc: 'accepted as upstream does; what is to be restored is in the attachment record' }),
  runtimeConfig: object({ mac: string({ doc: 'MAC address of the pod’s interface; comes before mac' }) }),
  args: object({ cni: object(fields) }),
})

export interface TuningNetconf {
  /** By the names that they have in the config. */
  readonly sysctl: Readonly<Record<string, string>>
  readonly link: LinkTuning
}

/** What changes of the interface; what is absent stays. */
export interface LinkTuning {
  readonly mac?: MacAddress
  readonly mtu?: number
  readonly promisc?: boolean
  readonly allmulti?: boolean
  readonly txQueueLength?: number
}

/** @throws CniError 7 */
export function parseNetconf(request: Request): TuningNetconf {
  const { args, runtimeConfig, ...own } = decode(netconfSchema, request.netconf)
  // IP and GATEWAY are for others: one CNI_ARGS serves the whole chain.
  if (request.command !== 'STATUS') requireKnownArgs(request.args, ['MAC', 'IP', 'GATEWAY'])
  refuseDuplicates(request)
  const sysctl = { ...own.sysctl, ...args.cni.sysctl }
  for (const key of Object.keys(sysctl)) parseSysctlKey(key, request.ifname)
  const mac = args.cni.mac ?? (runtimeConfig.mac || request.args.get('MAC') || own.mac)
  return { sysctl, link: linkTuning({ ...own, ...defined(args.cni), mac }) }
}

/** Which of two values is meant nobody can tell. */
function refuseDuplicates({ stdin }: Request): void {
  const keys = writtenKeys(stdin, 'sysctl')
  const twice = keys.find((key, at) => keys.indexOf(key) < at)
  if (twice === undefined) return
  const details = `sysctl: ${JSON.stringify(twice)} is there more than once`
  throw new CniError(CNI_CODE.invalidNetconf, 'duplicated sysctl keys are not allowed', { details })
}

type LinkFields = Omit<Infer<typeof netconfSchema>['args']['cni'], 'sysctl'>

/** Promiscuous mode can be asked for, and not be taken away; so upstream. */
function linkTuning({ mac, mtu, promisc, allmulti, txQLen }: LinkFields): LinkTuning {
  return {
    ...(mac ? { mac: parseMacField(mac) } : {}),
    ...(mtu ? { mtu } : {}),
    ...(promisc ? { promisc } : {}),
    ...(allmulti === undefined ? {} : { allmulti }),
    ...(txQLen === undefined ? {} : { txQueueLength: txQLen }),
  }
}

function parseMacField(text: string): MacAddress {
  try {
    return parseMac(text)
  } catch (cause) {
    const words = `invalid args ${text} for MAC addr: address ${text}: invalid MAC address`
    throw new CniError(CNI_CODE.invalidNetconf, words, { cause })
  }
}

function defined<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>
}
