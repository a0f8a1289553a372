// `podwire repair`: what is missing of the attachments there are is made again, after `nft flush ruleset`, a firewall
// that was loaded anew, a bridge that was set down. Pods go on running.

import type { Plugin, Repair } from '../../lib/cni/plugin.ts'
import { isValid } from '../../lib/host/garbage.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { recordedRequest } from '../../lib/host/recorded-request.ts'
import type { Attachment } from '../../lib/state/attachments.ts'

/** Told with what was done, since that is done all the same. */
export class RepairError extends Error {
  readonly code = 'EREPAIR'

  constructor(lines: readonly string[]) {
    super(`not all could be mended\n${lines.join('\n')}`)
    this.name = 'RepairError'
  }
}

/** @returns a line for each thing that was mended. @throws RepairError when something is left */
export async function repair(ports: Ports, plugins: readonly Plugin<Ports>[]): Promise<string> {
  // What belongs to a pod that is gone is for `podwire gc`.
  const live = ports.attachments.list().filter((attachment) => isValid(ports.kernel, undefined, attachment))
  const lines: string[] = []
  let isWhole = true
  for (const attachment of live) {
    const { mended, left } = await repairOne(ports, plugins, attachment)
    lines.push(...mended.map((text) => `${owner(attachment)}: mended: ${text}`))
    lines.push(...left.map((text) => `${owner(attachment)}: not mended: ${text}`))
    isWhole &&= left.length === 0
  }
  if (!isWhole) throw new RepairError(lines)
  const count = `${live.length} attachment${live.length === 1 ? '' : 's'}`
  return lines.length === 0 ? `nothing to mend in ${count}\n` : `${lines.join('\n')}\n`
}

async function repairOne(
  ports: Ports,
  plugins: readonly Plugin<Ports>[],
  attachment: Attachment,
): Promise<Repair> {
  const plugin = plugins.find(({ name }) => name === attachment.plugin)
  try {
    return (await plugin?.repair?.(ports, recordedRequest('CHECK', attachment))) ?? { mended: [], left: [] }
  } catch (error) {
    return { mended: [], left: [error instanceof Error ? error.message : String(error)] }
  }
}

function owner({ network, containerId, ifname }: Attachment): string {
  return `network ${network}, container ${containerId}, interface ${ifname}`
}
