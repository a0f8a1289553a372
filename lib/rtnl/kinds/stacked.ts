// What the kinds of links that lie on another link have in common.

import type { MacAddress } from '../../ip/mac.ts'
import type { IfIndex, IfName } from '../link.ts'

export interface StackedLink {
  readonly name: IfName
  readonly mac?: MacAddress
  /** Not above that of the link that it lies on. */
  readonly mtu?: number
  readonly up?: boolean
  readonly master?: IfIndex
  /** The link that it lies on, in the namespace of the socket. */
  readonly parent: IfIndex
  /**
   * Where it is born; the namespace of the socket when absent. The kernel looks for a link of its name in that of the
   * socket all the same (EEXIST, rtnl_newlink), so the name must be free in both.
   */
  readonly netnsFd?: number
}
