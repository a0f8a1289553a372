// Names of sysctls in the config, and which of them an administrator allows.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Files } from '../../lib/host/ports.ts'
import type { SysctlKey } from '../../lib/sysctl/sysctl.ts'

/** A regular expression per line; where there is no such file, all sysctls below `net` are allowed. */
export const ALLOW_LIST = '/etc/cni/tuning/allowlist.conf'
const PLACEHOLDER = 'IFNAME'

/**
 * `net.ipv4.conf.IFNAME.arp_filter` or with slashes; where the first separator is a slash, dots are part of a name, as
 * sysctl(8) has it.
 *
 * @returns the path below /proc/sys/net
 * @throws CniError 7 for what is not below `net`
 */
export function parseSysctlKey(key: string, ifname: string): SysctlKey {
  const separator = /[./]/.exec(key)?.[0] === '/' ? '/' : /[./]/
  const [root, ...names] = key.split(separator)
  const isPath = names.length > 0 && names.every((name) => name !== '' && name !== '.' && name !== '..')
  if (root !== 'net' || !isPath || key.includes('\0')) {
    throw new CniError(CNI_CODE.invalidNetconf, `invalid net sysctl key: ${JSON.stringify(key)}`, {
      details: 'sysctl: only parameters below net belong to a network namespace',
    })
  }
  // After it is taken apart: the name of an interface may have dots.
  const at = names.findIndex((name) => name.includes(PLACEHOLDER))
  return names.map((name, index) => (index === at ? name.replace(PLACEHOLDER, () => ifname) : name)).join('/')
}

/** @throws CniError 7 for the first that is not allowed, by the name that it has in the config */
export function requireAllowed(files: Files, keys: readonly string[]): void {
  if (keys.length === 0) return
  const lines = readAllowList(files)
  if (lines === undefined) return
  const patterns = lines.map(compile)
  const refused = keys.find((key) => !patterns.some((pattern) => pattern.test(key)))
  if (refused === undefined) return
  const words = `Sysctl ${refused} is not allowed. Only the following sysctls are allowed: [${lines.join(' ')}]`
  throw new CniError(CNI_CODE.invalidNetconf, words, { details: `the list is in ${ALLOW_LIST}` })
}

function readAllowList(files: Files): string[] | undefined {
  return files
    .find(ALLOW_LIST)
    ?.split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

/** What cannot be read allows nothing, and is said. */
function compile(line: string): RegExp {
  try {
    return new RegExp(line)
  } catch (cause) {
    throw new CniError(CNI_CODE.internal, `${ALLOW_LIST}: ${(cause as Error).message}`, { cause })
  }
}
