// The config of `cni-host-device`. The words of errors are upstream's.

import { requireIpamType, saidDns } from '../../lib/attach/stacked-fields.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { type Dns, dnsSchema } from '../../lib/cni/result.ts'
import { decode, object, parsed, string } from '../../lib/cni/schema.ts'
import { type MacAddress, parseMac } from '../../lib/ip/mac.ts'
import type { Selector } from './device.ts'

export const PLUGIN = 'cni-host-device'

export const netconfSchema = object({
  device: string({ doc: 'the link by its name' }),
  hwaddr: parsed(string({ doc: 'the link by its MAC address' }), parseMac),
  kernelpath: string({ doc: 'the link by its device below /sys/devices' }),
  pciBusID: string({
    doc: 'the link by its device’s address on the PCI bus, or its name on the auxiliary bus',
  }),
  dns: dnsSchema,
  ipam: object({ type: string({ doc: 'the IPAM plugin; without it the pod gets the link and no address' }) }),
  runtimeConfig: object({ deviceID: string({ doc: 'as pciBusID, and comes before it' }) }),
})

export interface HostDeviceNetconf {
  readonly selector: Selector
  readonly ipam: string
  readonly dns: Dns | undefined
}

/** @throws CniError 7 */
export function parseNetconf({ netconf }: Request): HostDeviceNetconf {
  const { device, hwaddr, kernelpath, pciBusID, dns, ipam, runtimeConfig } = decode(netconfSchema, netconf)
  const busId = runtimeConfig.deviceID || pciBusID
  const selector = select({ device, hwaddr, kernelpath, busId })
  if (selector === undefined) throw invalid('specify either "device", "hwaddr", "kernelpath" or "pciBusID"')
  return { selector, ipam: requireIpamType(ipam.type, PLUGIN), dns: saidDns(dns) }
}

/** The first that is said, in upstream's order. */
function select(fields: {
  device: string
  hwaddr: MacAddress | undefined
  kernelpath: string
  busId: string
}) {
  const { device, hwaddr: mac, kernelpath, busId } = fields
  if (device !== '') return { by: 'name', name: device } as const
  if (mac !== undefined) return { by: 'mac', mac } as const
  if (kernelpath !== '') {
    if (!kernelpath.startsWith('/sys/devices/') || kernelpath.includes('/../'))
      throw invalid(`kernel device path "${kernelpath}" must be absolute and begin with /sys/devices/`)
    return { by: 'path', path: kernelpath } as const
  }
  if (busId === '') return undefined
  if (!/^[\w:.-]+$/.test(busId) || busId.includes('..'))
    throw invalid(`pciBusID: ${JSON.stringify(busId)} is none`)
  return { by: 'bus', id: busId } as const
}

function invalid(message: string): CniError {
  return new CniError(CNI_CODE.invalidNetconf, message)
}
