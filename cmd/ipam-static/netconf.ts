// The `ipam` section of `ipam-static`, and what the runtime names besides: addresses in CNI_ARGS come after those of the
// section, args.cni.ips come instead of both, and runtimeConfig.ips instead of all. The words of errors are upstream's.

import { requireKnownArgs } from '../../lib/cni/args.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { dnsSchema } from '../../lib/cni/result.ts'
import { decode, type Infer, list, object, optional, parsed, string } from '../../lib/cni/schema.ts'
import { atLeast } from '../../lib/cni/versions.ts'
import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { checkRoutes, routeSchema } from '../../lib/ipam/route-fields.ts'

const address = object({
  address: string({ doc: 'address of the pod, in CIDR notation' }),
  gateway: parsed(string({ doc: 'gateway of its subnet' }), IpAddress.parse),
})

export const ipamSchema = object({
  type: string({ doc: 'this plugin: ipam-static, or static where installed under that name' }),
  addresses: list(address, { doc: 'addresses of the pod' }),
  routes: list(routeSchema, { doc: 'routes of the pod, passed on as they are' }),
  dns: dnsSchema,
})

const ips = list(string(), { doc: 'addresses of the pod, in CIDR notation' })

export const netconfSchema = object({
  ipam: optional(ipamSchema),
  runtimeConfig: object({ ips }),
  args: object({ cni: object({ ips }) }),
})

export interface StaticAddress {
  readonly prefix: Prefix
  readonly gateway: IpAddress | undefined
}

export type StaticNetconf = Omit<Infer<typeof ipamSchema>, 'addresses'> & {
  readonly addresses: readonly StaticAddress[]
}

/** @throws CniError 7 for what is wrong in the config, 4 for what is wrong in CNI_ARGS */
export function parseNetconf(request: Request): StaticNetconf {
  const { ipam, runtimeConfig, args } = decode(netconfSchema, request.netconf)
  if (ipam === undefined) throw invalid("IPAM config missing 'ipam' key")
  // MAC is for the plugin that delegates to us: one CNI_ARGS serves both.
  if (request.command !== 'STATUS') requireKnownArgs(request.args, ['IP', 'GATEWAY', 'MAC'])
  checkRoutes(ipam.routes)
  const named = [...ipam.addresses.map(parseAddress), ...parseArguments(request)]
  const [replacing] = [runtimeConfig.ips, args.cni.ips].filter(({ length }) => length > 0)
  const addresses = replacing?.map(parseEntry) ?? named
  requireFewEnough(request, addresses)
  return { ...ipam, addresses }
}

function parseAddress({ address: text, gateway }: Infer<typeof address>): StaticAddress {
  const words = `the 'address' field is expected to be in CIDR notation, got: '${text}'`
  return { prefix: parsePrefix(text, invalid(words)), gateway }
}

function parseEntry(text: string): StaticAddress {
  const words = `an entry in the 'ips' field is NOT in CIDR notation, got: '${text}'`
  return { prefix: parsePrefix(text, invalid(words)), gateway: undefined }
}

/** An address takes the last gateway that is in its subnet. */
function parseArguments({ args }: Request): StaticAddress[] {
  const gateways = split(args.get('GATEWAY')).map(parseGateway)
  return split(args.get('IP')).map((text) => {
    const words = `the 'ip' field is expected to be in CIDR notation, got: '${text}'`
    const prefix = parsePrefix(
      text,
      new CniError(CNI_CODE.invalidEnvironment, words, { details: 'CNI_ARGS: IP' }),
    )
    return { prefix, gateway: gateways.findLast((gateway) => prefix.contains(gateway)) }
  })
}

function split(text = ''): string[] {
  return text === '' ? [] : text.split(',').map((item) => item.trim())
}

function parseGateway(text: string): IpAddress {
  try {
    return IpAddress.parse(text)
  } catch (cause) {
    const details = 'CNI_ARGS: GATEWAY'
    throw new CniError(CNI_CODE.invalidEnvironment, `invalid gateway address: ${text}`, { details, cause })
  }
}

function parsePrefix(text: string, refusal: CniError): Prefix {
  try {
    if (text.includes('/')) return Prefix.parse(text)
  } catch (cause) {
    throw new CniError(refusal.code, refusal.message, { details: (cause as Error).message, cause })
  }
  throw refusal
}

/** A result of 0.1.0 or 0.2.0 has room for one of each family. */
function requireFewEnough({ cniVersion }: Request, addresses: readonly StaticAddress[]): void {
  if (atLeast(cniVersion, '0.3.0')) return
  const count = (family: number) => addresses.filter(({ prefix }) => prefix.family === family).length
  if (count(4) > 1 || count(6) > 1)
    throw invalid(`CNI version ${cniVersion} does not support more than 1 address per family`)
}

function invalid(message: string): CniError {
  return new CniError(CNI_CODE.invalidNetconf, message)
}
