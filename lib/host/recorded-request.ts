// A request that no runtime makes: for what is recorded, by Podwire itself (gc, repair, recovery).

import type { Command, Request } from '../cni/request.ts'
import type { SpecVersion } from '../cni/versions.ts'
import type { Attachment, AttachmentKey } from '../state/attachments.ts'

/** Not the newest: delegates of others are asked to DEL in this version, and older ones do not know 1.1.0. */
export const RECORDED_VERSION: SpecVersion = '1.0.0'

type Owner = Pick<Attachment, 'network' | 'netns'> & Pick<AttachmentKey, 'containerId' | 'ifname'>

/** @param path  where plugins of others are found: as CNI_PATH */
export function recordedRequest(
  command: Exclude<Command, 'VERSION'>,
  { network: name, containerId, ifname, netns }: Owner,
  path: readonly string[] = [],
): Request {
  const cniVersion = RECORDED_VERSION
  return {
    command,
    containerId,
    netns,
    ifname,
    args: new Map(),
    path,
    netnsOverride: false,
    stdin: JSON.stringify({ cniVersion, name }),
    netconf: { cniVersion, name },
    name,
    cniVersion,
    prevResult: undefined,
    environment: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: ifname,
      CNI_PATH: path.join(':'),
    },
  }
}
