// Expressions: the instructions that a rule is made of. They work on registers: a load puts a part of the packet
// there, a comparison looks at it and may end the rule.
//
// Registers are 4 bytes each, sixteen in all; the first of every four also goes by an older number that means 16
// bytes, and that nft still writes (NFT_REG_1…4 and NFT_REG32_00…15).

import type { Attributes } from '../netlink/attributes.ts'
import type { ExpressionData, ExpressionName, NFTA_EXPR } from './expression-attributes.ts'

export type Expression = Attributes<typeof NFTA_EXPR>

export const NFT_REG_VERDICT = 0
const NFT_REG32_00 = 8

/** The register's number, by how many bytes lie before it. */
export function registerAt(offset: number): number {
  return offset % 16 === 0 ? 1 + offset / 16 : NFT_REG32_00 + offset / 4
}

export function expression<N extends ExpressionName>(name: N, data: ExpressionData<N>): Expression {
  return { NFTA_EXPR_NAME: name, NFTA_EXPR_DATA: data }
}

/** Tells by the name what the data is. */
export function isNamed<N extends ExpressionName>(
  expression: Expression,
  name: N,
): expression is Expression & { readonly NFTA_EXPR_DATA: ExpressionData<N> } {
  return expression.NFTA_EXPR_NAME === name && expression.NFTA_EXPR_DATA !== undefined
}

/** NFTA_CMP_OP (enum nft_cmp_ops). */
export const CMP = { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 } as const

export function compare(op: keyof typeof CMP, value: Uint8Array): Expression {
  return expression('cmp', {
    NFTA_CMP_SREG: 1,
    NFTA_CMP_OP: CMP[op],
    NFTA_CMP_DATA: { NFTA_DATA_VALUE: value },
  })
}

/** Register 1 becomes `(itself & mask) ^ xor`. */
export function bitwise(mask: Uint8Array, xor: Uint8Array = new Uint8Array(mask.length)): Expression {
  return expression('bitwise', {
    NFTA_BITWISE_SREG: 1,
    NFTA_BITWISE_DREG: 1,
    NFTA_BITWISE_LEN: mask.length,
    NFTA_BITWISE_MASK: { NFTA_DATA_VALUE: mask },
    NFTA_BITWISE_XOR: { NFTA_DATA_VALUE: xor },
  })
}

/** Puts a constant into a register. */
export function immediate(register: number, value: Uint8Array): Expression {
  return expression('immediate', {
    NFTA_IMMEDIATE_DREG: register,
    NFTA_IMMEDIATE_DATA: { NFTA_DATA_VALUE: value },
  })
}

/** What changes by itself, or tells a set of one batch only, and so says nothing about what a rule does. */
const VOLATILE: ReadonlySet<string> = new Set([
  'NFTA_COUNTER_BYTES',
  'NFTA_COUNTER_PACKETS',
  'NFTA_LOOKUP_SET_ID',
])
/** The kernel adds the end of a range that we gave the start of only, and notes which ends it was given. */
const NAT_IMPLIED: Readonly<Record<string, string>> = {
  NFTA_NAT_REG_ADDR_MAX: 'NFTA_NAT_REG_ADDR_MIN',
  NFTA_NAT_REG_PROTO_MAX: 'NFTA_NAT_REG_PROTO_MIN',
}
const NF_NAT_RANGE_MAP_IPS = 1
const NF_NAT_RANGE_PROTO_SPECIFIED = 2

type Fields = Readonly<Record<string, unknown>>

/** Whether expressions do the same, be they made here or read back. */
export function areSameExpressions(a: readonly Expression[], b: readonly Expression[]): boolean {
  return a.length === b.length && a.every((one, i) => isSame(one, b[i]))
}

function isSame(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0
  if (!isFields(a) || !isFields(b)) return a === b
  const names = Object.keys(a)
  return (
    names.every((name) => isSame(significant(a, name), significant(b, name))) &&
    Object.keys(b).every((name) => name in a || significant(b, name) === undefined)
  )
}

function isFields(value: unknown): value is Fields {
  return value !== null && typeof value === 'object'
}

/** Zero is what the kernel takes for absent, and it writes it where we left it out. */
function significant(fields: Fields, name: string): unknown {
  if (VOLATILE.has(name)) return undefined
  const value = fields[name]
  const origin = NAT_IMPLIED[name]
  if (origin !== undefined && fields[origin] === value) return undefined
  if (name !== 'NFTA_NAT_FLAGS') return value === 0 ? undefined : value
  return Number(value ?? 0) & ~(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED) || undefined
}
