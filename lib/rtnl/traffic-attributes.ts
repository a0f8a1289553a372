// The tables of traffic control: queueing disciplines, filters and actions, with the kernel's names.
// linux/pkt_sched.h, pkt_cls.h, rtnetlink.h, tc_act/tc_mirred.h; Documentation/netlink/specs/tc.yaml in the kernel.

import { attributeTable, nested, selected } from '../netlink/attributes.ts'
import {
  be16,
  be32,
  bytes,
  type Codec,
  flags,
  named,
  type StructCodec,
  s32,
  string,
  struct,
  u8,
  u16,
  u32,
  u64,
} from '../netlink/codecs.ts'
import type { MessageKind } from '../netlink/request.ts'

/** Handles that stand for a place instead of a class. Ingress and clsact share theirs. */
export const TC_H = { root: 0xffffffff, ingress: 0xfffffff1 } as const

const handle = named(u32, TC_H)

export const tcmsg = struct('tcmsg', [
  ['tcm_family', u8],
  ['pad1', u8],
  ['pad2', u16],
  ['tcm_ifindex', s32],
  ['tcm_handle', u32],
  ['tcm_parent', handle],
  /** Of a filter: its preference above, the protocol in network order below. */
  ['tcm_info', u32],
])

const tcamsg = struct('tcamsg', [
  ['tca_family', u8],
  ['pad1', u8],
  ['pad2', u16],
])

/** A struct as the value of an attribute. */
function plain<T extends object>(form: StructCodec<T>): Codec<Partial<T>> & { read(bytes: Uint8Array): T } {
  return {
    name: form.name,
    size: form.size,
    write: (writer, value) => form.write(writer, value),
    read: (value) => form.read(value),
    format: (value) => `{ ${form.format(value).join(' ')} }`,
  }
}

/** struct tc_ratespec, with a prefix for the two that a token bucket has. */
const linklayer = named(u8, { unaware: 0, ethernet: 1, atm: 2 })

const tbfParameters = struct('tc_tbf_qopt', [
  ['rate_cell_log', u8],
  ['rate_linklayer', linklayer],
  ['rate_overhead', u16],
  ['rate_cell_align', u16],
  ['rate_mpu', u16],
  /** Bytes per second. */
  ['rate', u32],
  ['peakrate_cell_log', u8],
  ['peakrate_linklayer', linklayer],
  ['peakrate_overhead', u16],
  ['peakrate_cell_align', u16],
  ['peakrate_mpu', u16],
  ['peakrate', u32],
  /** Bytes that may wait. */
  ['limit', u32],
  /** The burst, as the time that it takes at this rate, in ticks of 64 ns. */
  ['buffer', u32],
  ['mtu', u32],
])

export const TCA_TBF = attributeTable({
  TCA_TBF_PARMS: [1, plain(tbfParameters)],
  /** The rate where 32 bits are too few. */
  TCA_TBF_RATE64: [4, u64],
  /** Bytes; counts instead of `buffer`. Written only. */
  TCA_TBF_BURST: [6, u32],
})

const mirred = struct('tc_mirred', [
  ['index', u32],
  ['capab', u32],
  ['action', named(s32, { pipe: 3, stolen: 4 })],
  ['refcnt', s32],
  ['bindcnt', s32],
  ['eaction', named(u32, { egress_redirect: 1, egress_mirror: 2, ingress_redirect: 3, ingress_mirror: 4 })],
  ['ifindex', u32],
])

const TCA_MIRRED = attributeTable({ TCA_MIRRED_PARMS: [2, plain(mirred)] })

const TCA_ACT = attributeTable({
  TCA_ACT_KIND: [1, string],
  TCA_ACT_OPTIONS: [
    2,
    selected<Record<string, unknown>>('TCA_ACT_KIND', () => ({ mirred: nested(() => TCA_MIRRED) })),
  ],
})

/** Actions in their order: attributes are numbered from 1, and one is all that we ever have. */
const TCA_ACTIONS = attributeTable({ first: [1, nested(() => TCA_ACT)] })

const selectorHead = struct('tc_u32_sel', [
  ['flags', flags(u8, { terminal: 1 })],
  ['offshift', u8],
  ['nkeys', u8],
  ['pad', u8],
  ['offmask', be16],
  ['off', u16],
  ['offoff', u16],
  ['hoff', u16],
  ['hmask', be32],
])

const selectorKey = struct('tc_u32_key', [
  ['mask', be32],
  ['val', be32],
  ['off', s32],
  ['offmask', s32],
])

interface Selector {
  readonly flags: number
  readonly keys: readonly { readonly mask: number; readonly val: number }[]
}

/** Which packets a u32 filter takes: those of which every key holds. */
const u32Selector: Codec<Selector> = {
  name: 'tc_u32_sel',
  write(writer, { flags, keys }) {
    selectorHead.write(writer, { flags, nkeys: keys.length })
    for (const key of keys) selectorKey.write(writer, key)
  },
  read(value) {
    const { flags, nkeys } = selectorHead.read(value)
    const at = (index: number) => value.subarray(selectorHead.size + index * selectorKey.size)
    return { flags, keys: Array.from({ length: nkeys }, (_, index) => selectorKey.read(at(index))) }
  },
  format: ({ flags, keys }) =>
    [
      ...selectorHead.format({ flags }),
      ...keys.map(({ mask, val }) => `match ${val.toString(16)}/${mask.toString(16)}`),
    ].join(' '),
}

export const TCA_U32 = attributeTable({
  TCA_U32_CLASSID: [1, u32],
  TCA_U32_SEL: [5, u32Selector],
  TCA_U32_ACT: [7, nested(() => TCA_ACTIONS)],
})

export const TCA = attributeTable({
  TCA_KIND: [1, string],
  TCA_OPTIONS: [
    2,
    selected<Record<string, unknown>>('TCA_KIND', () => ({
      tbf: nested(() => TCA_TBF),
      u32: nested(() => TCA_U32),
    })),
  ],
  TCA_STAB: [8, bytes],
})

/** Of messages about actions that hang on no filter. */
export const TCA_ROOT = attributeTable({ TCA_ROOT_TAB: [1, nested(() => TCA_ACTIONS)] })

function kind<T extends MessageKind['attributes']>(
  name: string,
  type: number,
  attributes: T,
): MessageKind<ReturnType<typeof tcmsg.read>, T> {
  return { name, type, header: tcmsg, attributes }
}

export const RTM_NEWQDISC = kind('RTM_NEWQDISC', 36, TCA)
export const RTM_DELQDISC = kind('RTM_DELQDISC', 37, TCA)
export const RTM_GETQDISC = kind('RTM_GETQDISC', 38, TCA)
export const RTM_NEWTFILTER = kind('RTM_NEWTFILTER', 44, TCA)
export const RTM_GETTFILTER = kind('RTM_GETTFILTER', 46, TCA)
export const RTM_NEWACTION: MessageKind<ReturnType<typeof tcamsg.read>, typeof TCA_ROOT> = {
  name: 'RTM_NEWACTION',
  type: 48,
  header: tcamsg,
  attributes: TCA_ROOT,
}
