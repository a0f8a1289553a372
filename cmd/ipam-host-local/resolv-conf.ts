// resolv.conf(5) as DNS settings of a result.

import type { Dns } from '../../lib/cni/result.ts'

export function parseResolvConf(text: string): Dns {
  const nameservers: string[] = []
  const search: string[] = []
  const options: string[] = []
  let domain = ''
  for (const line of text.split('\n')) {
    if (/^\s*[#;]/.test(line)) continue
    const [keyword, ...values] = line.trim().split(/\s+/)
    const [first] = values
    if (first === undefined) continue
    if (keyword === 'nameserver') nameservers.push(first)
    else if (keyword === 'domain') domain = first
    else if (keyword === 'search') search.push(...values)
    else if (keyword === 'options') options.push(...values)
  }
  return { nameservers, search, options, ...(domain === '' ? {} : { domain }) }
}
