// `--metrics 127.0.0.1:9479`: no default address and no names, so that nobody is told more than was meant.

import { isIP } from 'node:net'
import type { MetricsAddress } from '../../lib/daemon/metrics-port.ts'
import { UsageError } from './command.ts'

const MAX_PORT = 65_535
const FORMS =
  'an address and a port, such as 127.0.0.1:9479 or [::1]:9479; for all of the node’s, 0.0.0.0:9479'

/** @throws UsageError */
export function parseMetricsAddress(text: string): MetricsAddress {
  const [, ipv6, ipv4 = '', digits = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  const isAddress = ipv6 === undefined ? isIP(ipv4) === 4 : isIP(ipv6) === 6
  if (!isAddress || port < 1 || port > MAX_PORT) throw new UsageError(`--metrics is ${FORMS}; not "${text}"`)
  return { host: ipv6 ?? ipv4, port }
}
