// The VLAN fields of the config. The texts of errors are upstream's: clients look for them.

import type { PortVlans, VlanRange } from '../../lib/bridge/port-vlans.ts'
import { vlanGatewayName } from '../../lib/bridge/vlan-gateway.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import { checkedLater, type Infer, integer, list, object, optional } from '../../lib/cni/schema.ts'

const MAX_VID = 4094
const MAX_IFNAME = 15

export const vlanField = checkedLater(
  integer({
    doc: 'VLAN of the pod’s untagged frames; 0: none. A bridge that is made keeps VLANs apart then',
  }),
  { min: 0, max: MAX_VID },
)

const vid = (doc: string) => checkedLater(optional(integer({ doc })), { min: 1, max: MAX_VID })

export const vlanTrunkSchema = optional(
  list(
    object({
      minID: vid('first VLAN of a range; with maxID'),
      maxID: vid('last VLAN of a range; with minID'),
      id: vid('one VLAN'),
    }),
    { doc: 'VLANs of the pod’s port that keep their tags' },
  ),
)

type TrunkItem = NonNullable<Infer<typeof vlanTrunkSchema>>[number]

interface VlanFields {
  readonly bridge: string
  readonly isGateway: boolean
  readonly vlan: number
  readonly vlanTrunk: readonly TrunkItem[] | undefined
  readonly preserveDefaultVlan: boolean
}

/**
 * @returns undefined when nothing is said of VLANs; an empty trunk does say something
 * @throws CniError 7
 */
export function parseVlans(fields: VlanFields): PortVlans | undefined {
  const { bridge, isGateway, vlan, vlanTrunk, preserveDefaultVlan: preserveDefault } = fields
  if (vlan < 0 || vlan > MAX_VID) throw invalid(`invalid VLAN ID ${vlan} (must be between 0 and 4094)`)
  const trunk = collectTrunk(vlanTrunk ?? [])
  if (vlan === 0 && vlanTrunk === undefined) return undefined
  const gateway = vlanGatewayName(bridge, vlan)
  if (isGateway && vlan !== 0 && gateway.length > MAX_IFNAME) {
    throw invalid(
      `bridge: the gateway interface of vlan ${vlan} cannot be named ${JSON.stringify(gateway)}: more than ${MAX_IFNAME} characters`,
    )
  }
  return { vlan, trunk, preserveDefault }
}

/** In order, and neighbours as one range. */
export function collectTrunk(items: readonly TrunkItem[]): VlanRange[] {
  const ranges = items.flatMap(rangesOf).sort((a, b) => a.vid - b.vid)
  const merged: VlanRange[] = []
  for (const range of ranges) {
    const last = merged.at(-1)
    if (last === undefined || range.vid > last.vidEnd + 1) merged.push(range)
    else merged[merged.length - 1] = { vid: last.vid, vidEnd: Math.max(last.vidEnd, range.vidEnd) }
  }
  return merged
}

function rangesOf({ minID, maxID, id }: TrunkItem): VlanRange[] {
  if (minID === undefined && maxID !== undefined)
    throw invalid('minID and maxID should be configured simultaneously, minID is missing')
  if (minID !== undefined && maxID === undefined)
    throw invalid('minID and maxID should be configured simultaneously, maxID is missing')
  requireVid('minID', minID)
  requireVid('maxID', maxID)
  if (minID !== undefined && maxID !== undefined && maxID < minID)
    throw invalid('minID is greater than maxID in trunk parameter')
  requireVid('id', id)
  return [
    ...(minID === undefined || maxID === undefined ? [] : [{ vid: minID, vidEnd: maxID }]),
    ...(id === undefined ? [] : [{ vid: id, vidEnd: id }]),
  ]
}

function requireVid(name: string, vid: number | undefined): void {
  if (vid !== undefined && (vid < 1 || vid > MAX_VID)) throw invalid(`incorrect trunk ${name} parameter`)
}

function invalid(message: string): CniError {
  return new CniError(CNI_CODE.invalidNetconf, message)
}
