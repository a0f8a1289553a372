// What becomes of a packet (NFTA_VERDICT): `accept`, `drop`, `return`, `continue`, `jump chain`, `goto chain`.

import type { ExpressionData } from './expression-attributes.ts'

/** NF_ACCEPT and NF_DROP of linux/netfilter.h, the others of enum nft_verdicts. */
const CODES = {
  drop: 0,
  accept: 1,
  continue: 0xffffffff,
  break: 0xfffffffe,
  jump: 0xfffffffd,
  goto: 0xfffffffc,
  return: 0xfffffffb,
} as const

export type VerdictData = NonNullable<
  NonNullable<ExpressionData<'immediate'>['NFTA_IMMEDIATE_DATA']>['NFTA_DATA_VERDICT']
>

/** @throws RangeError when the text is no verdict */
export function parseVerdict(text: string): VerdictData {
  const [word = '', chain, ...rest] = text.split(' ')
  const code = Object.hasOwn(CODES, word) ? CODES[word as keyof typeof CODES] : undefined
  const needsChain = word === 'jump' || word === 'goto'
  if (code === undefined || rest.length > 0 || needsChain !== (chain !== undefined)) {
    throw new RangeError(`${JSON.stringify(text)} is no verdict`)
  }
  return { NFTA_VERDICT_CODE: code, NFTA_VERDICT_CHAIN: chain }
}

export function formatVerdict(verdict: VerdictData): string {
  const code = verdict.NFTA_VERDICT_CODE
  const word = Object.entries(CODES).find(([, number]) => number === code)?.[0] ?? `verdict ${code}`
  return verdict.NFTA_VERDICT_CHAIN === undefined ? word : `${word} ${verdict.NFTA_VERDICT_CHAIN}`
}

/** The chain that a verdict goes to, if any. */
export function verdictTarget(text: string): string | undefined {
  return /^(?:jump|goto) (.+)$/.exec(text)?.[1]
}
