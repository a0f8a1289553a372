// What a rule of somebody's firewall asks of a packet, as far as it can be told: its links, its connection's state,
// its mark. What else a rule asks may hold.

import type { NftChain } from './chain.ts'
import { DATA_TYPES, type DataTypeName } from './data-types.ts'
import type { NftElement } from './element.ts'
import { CMP, type Expression, isNamed } from './expression.ts'
import type { ExpressionData } from './expression-attributes.ts'
import { CT, META } from './field.ts'
import type { Nft } from './nft.ts'
import type { NftMap } from './set.ts'
import { formatVerdict } from './verdict.ts'
import { type Holds, xtablesHolds } from './xtables-match.ts'

/** The first packet of a TCP connection: its state is `new`, and it has no mark. */
export interface Packet {
  readonly from: LinkName
  /** The links that it may leave by; when none are known, any. */
  readonly to: readonly LinkName[]
}

export interface LinkName {
  readonly name: string
  /** When there is such a link. */
  readonly index?: number
}

export interface Conditions {
  readonly holds: Holds
  /** `accept`, `jump pods`; several when they depend on a map. */
  readonly verdicts: readonly string[]
}

interface Surroundings {
  readonly nft: Nft
  readonly chain: NftChain
  readonly packet: Packet
}

/** What a register holds, and which of its bits are looked at. */
interface Loaded {
  /** `zero`: what a new packet has none of, a mark or the note that its connection is translated. */
  readonly what: 'from' | 'to' | 'state' | 'zero' | 'protocol' | 'other'
  readonly form: 'name' | 'index' | 'bits'
  readonly mask: number | undefined
}

const OTHER: Loaded = { what: 'other', form: 'bits', mask: undefined }
const ZERO: Loaded = { what: 'zero', form: 'bits', mask: undefined }
const CT_STATE_NEW = 8
const NFT_LOOKUP_F_INV = 1
/** Never a condition, never a verdict. */
const INDIFFERENT = ['counter', 'log', 'notrack', 'last']

export async function conditionsOf(
  expressions: readonly Expression[],
  surroundings: Surroundings,
): Promise<Conditions> {
  const { packet } = surroundings
  let loaded = OTHER
  let holds: Holds = 'always'
  const verdicts: string[] = []
  const ask = (answer: Holds) => {
    if (answer === 'never' || holds === 'never') holds = 'never'
    else if (answer === 'maybe') holds = 'maybe'
  }
  for (const expression of expressions) {
    const name = expression.NFTA_EXPR_NAME ?? ''
    if (isNamed(expression, 'meta')) loaded = loadedMeta(expression.NFTA_EXPR_DATA)
    else if (isNamed(expression, 'ct')) loaded = loadedCt(expression.NFTA_EXPR_DATA)
    else if (isNamed(expression, 'payload')) loaded = loadedPayload(expression.NFTA_EXPR_DATA)
    else if (isNamed(expression, 'bitwise'))
      loaded = { ...loaded, mask: number(expression.NFTA_EXPR_DATA.NFTA_BITWISE_MASK?.NFTA_DATA_VALUE) }
    else if (isNamed(expression, 'cmp')) ask(compareHolds(packet, loaded, expression.NFTA_EXPR_DATA))
    else if (isNamed(expression, 'lookup')) {
      const found = await lookUp(surroundings, loaded, expression.NFTA_EXPR_DATA)
      ask(found.holds)
      verdicts.push(...found.verdicts)
    } else if (isNamed(expression, 'immediate')) {
      const verdict = expression.NFTA_EXPR_DATA.NFTA_IMMEDIATE_DATA?.NFTA_DATA_VERDICT
      if (verdict !== undefined) verdicts.push(formatVerdict(verdict))
    } else if (isNamed(expression, 'match')) ask(xtablesHolds(expression.NFTA_EXPR_DATA))
    else if (isNamed(expression, 'target')) verdicts.push(...targetVerdict(expression.NFTA_EXPR_DATA))
    else if (name === 'reject') verdicts.push('drop')
    else if (name === 'queue' || name === 'fwd') verdicts.push(name)
    else if (!INDIFFERENT.includes(name)) {
      loaded = OTHER
      ask('maybe')
    }
  }
  return { holds, verdicts }
}

function loadedMeta({ NFTA_META_KEY: key }: ExpressionData<'meta'>): Loaded {
  const form = key === META.iifname || key === META.oifname ? 'name' : 'index'
  if (key === META.iifname || key === META.iif) return { what: 'from', form, mask: undefined }
  if (key === META.oifname || key === META.oif) return { what: 'to', form, mask: undefined }
  if (key === META.l4proto) return PROTOCOL
  return key === META.mark ? ZERO : OTHER
}

const PROTOCOL: Loaded = { what: 'protocol', form: 'bits', mask: undefined }
const NETWORK_HEADER = 1
/** Where the protocol is in the headers of IPv4 and IPv6. */
const PROTOCOL_OFFSETS = [9, 6]
const IPPROTO_TCP = 6

function loadedPayload(data: ExpressionData<'payload'>): Loaded {
  const { NFTA_PAYLOAD_BASE: base, NFTA_PAYLOAD_OFFSET: offset = 0, NFTA_PAYLOAD_LEN: length } = data
  const isProtocol = base === NETWORK_HEADER && length === 1 && PROTOCOL_OFFSETS.includes(offset)
  return isProtocol ? PROTOCOL : OTHER
}

function loadedCt({ NFTA_CT_KEY: key }: ExpressionData<'ct'>): Loaded {
  if (key === CT.state) return { what: 'state', form: 'bits', mask: undefined }
  return key === CT.status || key === CT.mark ? ZERO : OTHER
}

function targetVerdict({ NFTA_TARGET_NAME: name }: ExpressionData<'target'>): string[] {
  if (name === 'REJECT' || name === 'DROP') return ['drop']
  // Others change the packet, or count it; NFQUEUE hands it to a program.
  return name === 'NFQUEUE' || name === 'QUEUE' ? ['queue'] : []
}

function compareHolds(packet: Packet, loaded: Loaded, data: ExpressionData<'cmp'>): Holds {
  const { NFTA_CMP_OP: op } = data
  const value = data.NFTA_CMP_DATA?.NFTA_DATA_VALUE
  if (value === undefined || (op !== CMP.eq && op !== CMP.neq)) return 'maybe'
  const isEqual = (link: LinkName) => isLink(link, loaded.form, value)
  const negate = op === CMP.neq
  switch (loaded.what) {
    case 'from':
      return isEqual(packet.from) !== negate ? 'always' : 'never'
    case 'to':
      return someUplink(packet, (link) => isEqual(link) !== negate)
    case 'state': {
      const bits = loaded.mask === undefined ? CT_STATE_NEW : CT_STATE_NEW & loaded.mask
      return (bits === number(value)) !== negate ? 'always' : 'never'
    }
    case 'zero':
      return (number(value) === 0) !== negate ? 'always' : 'never'
    case 'protocol':
      return (value[0] === IPPROTO_TCP) !== negate ? 'always' : 'never'
    default:
      return 'maybe'
  }
}

function someUplink({ to }: Packet, matches: (link: LinkName) => boolean): Holds {
  if (to.length === 0) return 'maybe'
  if (to.every(matches)) return 'always'
  return to.some(matches) ? 'maybe' : 'never'
}

/** A name that ends early is that of all links that begin so (`veth*`). */
function isLink(link: LinkName, form: Loaded['form'], value: Uint8Array): boolean {
  if (form === 'index') return link.index === number(value)
  const name = DATA_TYPES.ifname.parse(link.name)
  return value.every((byte, i) => byte === name[i])
}

/** In the byte order of the machine, as the kernel keeps numbers of its own. */
function number(bytes: Uint8Array | undefined): number {
  if (bytes === undefined || bytes.length < 4) return 0
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true)
}

async function lookUp(
  { nft, chain, packet }: Surroundings,
  loaded: Loaded,
  data: ExpressionData<'lookup'>,
): Promise<Conditions> {
  const isMap = data.NFTA_LOOKUP_DREG !== undefined
  const type: DataTypeName | undefined =
    loaded.form === 'name' ? 'ifname' : loaded.what === 'state' ? 'mark' : undefined
  const unknown: Conditions = { holds: 'maybe', verdicts: isMap ? ['unknown'] : [] }
  if (type === undefined) return unknown
  const base = { table: chain.table, name: data.NFTA_LOOKUP_SET ?? '', type: [type] }
  const set: NftMap = { ...base, value: 'verdict' }
  const elements = await nft.listElements(isMap ? set : base).catch(ignoreOtherTypes)
  if (elements === undefined) return unknown
  const found = elements.filter(({ key: [text = ''] }) =>
    isMember(packet, loaded, DATA_TYPES[type].parse(text)),
  )
  const isIn = found.length > 0 && loaded.what === 'to' ? 'maybe' : found.length > 0 ? 'always' : 'never'
  if (isMap) return { holds: isIn, verdicts: found.flatMap(({ value = [] }) => value.slice(0, 1)) }
  const isInverted = ((data.NFTA_LOOKUP_FLAGS ?? 0) & NFT_LOOKUP_F_INV) !== 0
  if (!isInverted || isIn === 'maybe') return { holds: isIn, verdicts: [] }
  return { holds: isIn === 'always' ? 'never' : 'always', verdicts: [] }
}

function isMember({ from, to }: Packet, { what, form }: Loaded, value: Uint8Array): boolean {
  if (what === 'state') return (number(value) & CT_STATE_NEW) !== 0
  const links = what === 'from' ? [from] : to
  return (what === 'to' && to.length === 0) || links.some((link) => isLink(link, form, value))
}

/** The set's keys are of another type: several fields side by side, say. */
function ignoreOtherTypes(error: unknown): readonly NftElement[] | undefined {
  if (error instanceof RangeError) return undefined
  throw error
}
