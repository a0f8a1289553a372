// The way through other firewalls. An accept in a chain of ours means nothing to the chains of others at the same hook:
// what one of them drops is dropped. So packets of pods get a mark on their way, and a chain that drops gets one rule
// that accepts the mark. It is made of what iptables itself writes, which goes on reading its tables.

import type { NftChain } from './chain.ts'
import { isSameBody, type NftRule, type NftRuleState } from './rule.ts'
import { accept, counter, hasMark } from './statement.ts'

/** Free in Kubernetes (14, 15), Calico (from 16), Cilium (8 to 11) and for host ports (13). */
export const PASS_MARK = 1 << 12

const COMMENT = 'podwire: pods of cni-firewall'

export function forwardPass(chain: NftChain): NftRule {
  return { chain, body: [hasMark(PASS_MARK), counter, accept], comment: COMMENT }
}

/** Also one that a person wrote: `iptables -I FORWARD -m mark --mark 0x1000/0x1000 -j ACCEPT`. */
export function isForwardPass(state: NftRuleState): boolean {
  const chain = { table: { family: 'ip', name: '' }, name: state.chain } as const
  return isSameBody(forwardPass(chain), state)
}

/** Of those only ours. */
export function isOurForwardPass(state: NftRuleState): boolean {
  return state.comment === COMMENT && isForwardPass(state)
}
