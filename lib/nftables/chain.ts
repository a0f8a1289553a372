// Chains (NFT_MSG_*CHAIN): lists of rules. A base chain is called by the kernel at one of its hooks; the others
// are jumped to.

import { NLA_TYPE_MASK } from '../netlink/attributes.ts'
import { nfgenmsg } from '../netlink/nfnetlink.ts'
import { readPayload } from '../netlink/request.ts'
import { NFTA_CHAIN } from './attributes.ts'
import { MESSAGES, NFPROTO, type NftFamily } from './messages.ts'
import { type NftTable, tableName } from './table.ts'
import { commentUserdata, readComment, UDATA } from './userdata.ts'

/** linux/netfilter.h; netdev counts its own. */
const HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4, ingress: 5 } as const
const NETDEV_HOOKS = { ingress: 0, egress: 1 } as const
export type NftHook = keyof typeof HOOKS | keyof typeof NETDEV_HOOKS

/** Where in the order of a hook's chains, lower first (linux/netfilter_ipv4.h). The names are nft's. */
export const PRIORITY = {
  raw: -300,
  mangle: -150,
  dstnat: -100,
  filter: 0,
  security: 50,
  srcnat: 100,
} as const

export interface BaseChain {
  readonly type: 'filter' | 'nat' | 'route'
  readonly hook: NftHook
  readonly priority: number
  readonly policy?: 'accept' | 'drop'
  /** netdev, and ingress of inet: the links it is called for. */
  readonly devices?: readonly string[]
}

export interface NftChain {
  readonly table: NftTable
  readonly name: string
  readonly base?: BaseChain
  readonly comment?: string
}

/** `inet podwire postrouting` */
export function chainName({ table, name }: NftChain): string {
  return `${tableName(table)} ${name}`
}

/** `type nat hook postrouting priority 100; policy accept;` */
export function baseText(base: BaseChain): string {
  const devices = base.devices?.map((name) => `"${name}"`).join(', ')
  const on =
    devices === undefined
      ? ''
      : base.devices?.length === 1
        ? ` device ${devices}`
        : ` devices = { ${devices} }`
  return `type ${base.type} hook ${base.hook}${on} priority ${base.priority}; policy ${base.policy ?? 'accept'};`
}

export function chainText(chain: NftChain): string {
  const parts = [
    ...(chain.base ? [baseText(chain.base)] : []),
    ...(chain.comment === undefined ? [] : [`comment "${chain.comment}";`]),
  ]
  return chainName(chain) + (parts.length === 0 ? '' : ` { ${parts.join(' ')} }`)
}

function hookNumbers(family: NftFamily): Readonly<Record<string, number>> {
  return family === 'netdev' ? NETDEV_HOOKS : HOOKS
}

export function newChainAttributes(chain: NftChain) {
  return {
    NFTA_CHAIN_TABLE: chain.table.name,
    NFTA_CHAIN_NAME: chain.name,
    ...(chain.base === undefined ? {} : baseAttributes(chain.table.family, chain.base)),
    ...commentUserdata('NFTA_CHAIN_USERDATA', chain.comment),
  }
}

function baseAttributes(family: NftFamily, base: BaseChain) {
  const hook = hookNumbers(family)[base.hook]
  if (hook === undefined) throw new RangeError(`no hook ${base.hook} in family ${family}`)
  return {
    NFTA_CHAIN_TYPE: base.type,
    NFTA_CHAIN_POLICY: base.policy === undefined ? undefined : base.policy === 'accept' ? 1 : 0,
    NFTA_CHAIN_HOOK: {
      NFTA_HOOK_HOOKNUM: hook,
      NFTA_HOOK_PRIORITY: base.priority,
      ...deviceAttributes(base.devices),
    },
  }
}

function deviceAttributes(devices: readonly string[] | undefined) {
  if (devices === undefined) return {}
  const [only] = devices
  if (devices.length === 1 && only !== undefined) return { NFTA_HOOK_DEV: only }
  return { NFTA_HOOK_DEVS: { NFTA_DEVICE_NAME: [...devices] } }
}

/** @param payload  of a NFT_MSG_NEWCHAIN, of which only as much is read as it takes to know */
export function isHooked(payload: Uint8Array): boolean {
  const [type] = NFTA_CHAIN.NFTA_CHAIN_HOOK
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  let offset = nfgenmsg.size
  while (offset + 4 <= payload.length) {
    if ((view.getUint16(offset + 2, true) & NLA_TYPE_MASK) === type) return true
    offset += Math.max(4, (view.getUint16(offset, true) + 3) & ~3)
  }
  return false
}

/** @returns undefined for a chain that is at another hook, or at one that has no name here */
export function readBaseChain(payload: Uint8Array, hook: NftHook): NftChain | undefined {
  const { header, attributes: a } = readPayload(MESSAGES.chain.NEW, payload)
  const family = Object.entries(NFPROTO).find(([, number]) => number === header.nfgen_family)?.[0]
  if (family === undefined) return undefined
  const table = { family: family as NftFamily, name: a.NFTA_CHAIN_TABLE ?? '' }
  if (hookNumbers(table.family)[hook] !== a.NFTA_CHAIN_HOOK?.NFTA_HOOK_HOOKNUM) return undefined
  return readChain(table, payload)
}

/**
 * @returns undefined for a chain of another table
 * @throws RangeError when the payload is none of a chain
 */
export function readChain(table: NftTable, payload: Uint8Array): NftChain | undefined {
  const { attributes: a } = readPayload(MESSAGES.chain.NEW, payload)
  if (a.NFTA_CHAIN_TABLE !== table.name) return undefined
  const comment = readComment(a.NFTA_CHAIN_USERDATA, UDATA.chain.comment)
  const { NFTA_CHAIN_HOOK: hook, NFTA_CHAIN_TYPE: type } = a
  const name = Object.entries(hookNumbers(table.family)).find(([, n]) => n === hook?.NFTA_HOOK_HOOKNUM)?.[0]
  if (hook !== undefined && name === undefined)
    throw new RangeError(`no name for hook ${hook.NFTA_HOOK_HOOKNUM}`)
  const one = hook?.NFTA_HOOK_DEV === undefined ? undefined : [hook.NFTA_HOOK_DEV]
  const devices = hook?.NFTA_HOOK_DEVS?.NFTA_DEVICE_NAME ?? one
  return {
    table,
    name: a.NFTA_CHAIN_NAME ?? '',
    ...(hook === undefined
      ? {}
      : {
          base: {
            type: type as BaseChain['type'],
            hook: name as NftHook,
            priority: (hook.NFTA_HOOK_PRIORITY ?? 0) | 0, // signed
            policy: a.NFTA_CHAIN_POLICY === 0 ? ('drop' as const) : ('accept' as const),
            ...(devices === undefined ? {} : { devices }),
          },
        }),
    ...(comment === undefined ? {} : { comment }),
  }
}
