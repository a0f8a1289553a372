// A change as the message that makes it.

import type { Request } from '../netlink/request.ts'
import { addAddressRequest, deleteAddressRequest } from './address.ts'
import { addBridgeVlanRequest, deleteBridgeVlanRequest } from './bridge-vlan.ts'
import { addRedirectRequest } from './filter.ts'
import { formatChange } from './format.ts'
import { createLinkRequest, deleteLinkRequest, setLinkRequest } from './link.ts'
import { addQdiscRequest, deleteQdiscRequest } from './qdisc.ts'
import { addRouteRequest, deleteRouteRequest } from './route.ts'
import type { Change } from './rtnl.ts'
import { addRuleRequest, deleteRuleRequest } from './rule.ts'

/** @throws RangeError when it cannot be said to the kernel: a value that does not fit its attribute */
export function toRequest(change: Change): Request {
  const operation = () => formatChange(change)
  switch (change.change) {
    case 'create link':
      return createLinkRequest(change.link, operation)
    case 'set link':
      return setLinkRequest(change.link, change.set, operation)
    case 'delete link':
      return deleteLinkRequest(change.link, operation)
    case 'add address':
      return addAddressRequest(change.address, operation)
    case 'delete address':
      return deleteAddressRequest(change.address, operation)
    case 'add route':
      return addRouteRequest(change.route, operation)
    case 'delete route':
      return deleteRouteRequest(change.route, operation)
    case 'add rule':
      return addRuleRequest(change.rule, operation)
    case 'delete rule':
      return deleteRuleRequest(change.rule, operation)
    case 'add bridge vlan':
      return addBridgeVlanRequest(change.link, change.vlan, operation)
    case 'delete bridge vlan':
      return deleteBridgeVlanRequest(change.link, change.vlan, operation)
    case 'add qdisc':
      return addQdiscRequest(change.dev, change.qdisc, operation)
    case 'delete qdisc':
      return deleteQdiscRequest(change.dev, change.parent, operation)
    case 'add redirect':
      return addRedirectRequest(change.redirect, operation)
  }
}
