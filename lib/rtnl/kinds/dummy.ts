// dummy: a link that has nothing behind it and drops what is sent (drivers/net/dummy.c).

import type { MacAddress } from '../../ip/mac.ts'
import type { IfName } from '../link.ts'

export interface NewDummy {
  readonly kind: 'dummy'
  readonly name: IfName
  readonly mac?: MacAddress
  readonly mtu?: number
  readonly up?: boolean
}
