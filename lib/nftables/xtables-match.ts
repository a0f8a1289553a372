// Matches of x_tables, as iptables-nft writes them into rules: those that decide about a new connection's first
// packet. Each has a C structure of its own (linux/netfilter/xt_*.h), in the byte order of the machine.

import type { ExpressionData } from './expression-attributes.ts'

export type Holds = 'always' | 'maybe' | 'never'

/** Fields of struct xt_conntrack_mtinfo3: after eight addresses of 16 bytes, two u32 and five u16. */
const CONNTRACK = { matchFlags: 146, invertFlags: 148, stateMask: 150, bytes: 152 } as const
const XT_CONNTRACK_STATE = 1
/** XT_CONNTRACK_STATE_BIT(IP_CT_NEW) */
const STATE_NEW = 8

/** Whether a packet that opens a connection, and has no mark, can match. */
export function xtablesHolds({
  NFTA_MATCH_NAME: name,
  NFTA_MATCH_INFO: info,
}: ExpressionData<'match'>): Holds {
  if (name === 'comment') return 'always'
  if (info === undefined) return 'maybe'
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength)
  switch (name) {
    case 'conntrack':
      return conntrackHolds(view)
    case 'state': // struct xt_state_info
      return view.byteLength >= 4 && (view.getUint32(0, true) & STATE_NEW) === 0 ? 'never' : 'maybe'
    case 'mark': // struct xt_mark_mtinfo1: mark, mask, invert
      return view.byteLength >= 9 && view.getUint32(0, true) !== 0 && view.getUint8(8) === 0
        ? 'never'
        : 'maybe'
    default:
      return 'maybe'
  }
}

function conntrackHolds(view: DataView): Holds {
  if (view.byteLength < CONNTRACK.bytes) return 'maybe'
  const asks = (offset: number) => (view.getUint16(offset, true) & XT_CONNTRACK_STATE) !== 0
  if (!asks(CONNTRACK.matchFlags)) return 'maybe'
  const isNew = (view.getUint16(CONNTRACK.stateMask, true) & STATE_NEW) !== 0
  return isNew !== asks(CONNTRACK.invertFlags) ? 'maybe' : 'never'
}
