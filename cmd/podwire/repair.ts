// `podwire repair`: what is missing of the attachments there are is made again, after `nft flush ruleset`, a firewall
// that was loaded anew, a bridge that was set down. Pods go on running.

import type { Plugin, Repair } from '../../lib/cni/plugin.ts'
import { isThere } from '../../lib/host/garbage.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { recordedRequest } from '../../lib/host/recorded-request.ts'
import type { Attachment } from '../../lib/state/attachments.ts'
import { podText } from './attached.ts'
import { formatCount } from './style.ts'

/** Told with what was done, since that is done all the same. */
export class RepairError extends Error {
  readonly code = 'EREPAIR'

  constructor(lines: readonly string[]) {
    super(`not all could be mended\n${lines.join('\n')}`)
    this.name = 'RepairError'
  }
}

/** @returns what was mended, by attachment. @throws RepairError when something is left */
export async function repair(
  ports: Ports,
  plugins: readonly Plugin<Ports>[],
  progress: (text: string) => void = () => undefined,
): Promise<string> {
  // What belongs to a pod that is gone is for `podwire gc`.
  const live = ports.attachments.list().filter(({ netns }) => isThere(ports.kernel, netns))
  const all: Done[] = []
  for (const [index, attachment] of live.entries()) {
    progress(`${index} of ${live.length}`)
    all.push({ owner: ownerOf(attachment), ...(await repairOne(ports, plugins, attachment)) })
  }
  const owners = [...Map.groupBy(all, ({ owner }) => owner)]
  const lines = owners.flatMap(([owner, done]) => linesOf(owner, done))
  const count = formatCount(owners.length, 'interface')
  if (lines.length === 0) return `nothing to mend in ${count}\n`
  if (all.some(({ left }) => left.length > 0)) throw new RepairError(lines)
  const mended = all.reduce((sum, one) => sum + one.mended.length, 0)
  return `${lines.join('\n')}\nmended ${formatCount(mended, 'difference')}, looked at ${count}\n`
}

type Done = Repair & { readonly owner: string }

/** Of all plugins of its chain; none when there was nothing to do. */
function linesOf(owner: string, done: readonly Done[]): string[] {
  const lines = [
    ...done.flatMap(({ mended }) => mended.map((text) => `  mended: ${text}`)),
    ...done.flatMap(({ left }) => left.map((text) => `  not mended: ${text}`)),
  ]
  return lines.length === 0 ? [] : [owner, ...lines]
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

/** As `podwire check` names it. */
function ownerOf({ podNamespace = '', podName = '', ...attachment }: Attachment): string {
  const { containerId, ifname, network } = attachment
  return `${podText({ podNamespace, podName, containerId })} ${ifname} (${network})`
}
