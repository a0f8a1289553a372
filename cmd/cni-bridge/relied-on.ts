// What an ADD changed on things that pods share is taken back when it fails, unless another attachment asks for the
// same (docs/adr/0013-undo-of-shared-things.md). Who asks for what is in the records.

import type { BridgeChange } from '../../lib/bridge/bridge.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import type { BridgeAttachment } from './attachment.ts'

/** @param others  the other attachments of the bridge, or of the interface that has its gateway's addresses */
export function isReliedOn(change: BridgeChange, others: readonly BridgeAttachment[]): boolean {
  const ask = (address: Prefix) =>
    others.some(({ gateways }) => gateways.some((gateway) => Prefix.parse(gateway).equals(address)))
  switch (change.kind) {
    case 'presence':
      return others.length > 0
    case 'promisc':
      return others.some(({ promisc }) => promisc)
    case 'gateway':
      return ask(change.gateway)
    case 'rival': // back it goes, unless the one in whose place it was has to stay
      return ask(change.gateway) && !ask(change.rival)
  }
}

/** Forwarding of one family is switched on for the gateways' sake. */
export function isForwardedFor(
  setting: { readonly key: string },
  others: readonly BridgeAttachment[],
): boolean {
  const family = setting.key.startsWith('ipv6/') ? 6 : 4
  return others.some(({ gateways }) => gateways.some((gateway) => Prefix.parse(gateway).family === family))
}
