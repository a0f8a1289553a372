// The `ipam` section of the config, and what the runtime asks for besides.

import { requireKnownArgs } from '../../lib/cni/args.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import { perConfig } from '../../lib/cni/per-config.ts'
import type { Request } from '../../lib/cni/request.ts'
import {
  boolean,
  decode,
  findField,
  type Infer,
  integer,
  isObject,
  list,
  object,
  optional,
  string,
} from '../../lib/cni/schema.ts'
import { atLeast } from '../../lib/cni/versions.ts'
import { AddressError, IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { DEFAULT_DATA_DIR } from '../../lib/ipam/lease-store.ts'
import { RangeConfigError } from '../../lib/ipam/range.ts'
import { parseRangeSets, type RangeSet } from '../../lib/ipam/range-set.ts'
import { checkRoutes, routeSchema } from '../../lib/ipam/route-fields.ts'

/**
 * Neighbours take an address for that of its last holder for 15 to 45 s (arp(7), base_reachable_time), and a UDP flow
 * that gets no answer is tracked for 30 s (nf_conntrack_udp_timeout).
 */
const DEFAULT_COOL_DOWN_S = 30
const MAX_COOL_DOWN_S = 86_400 * 365

const rangeFields = {
  subnet: string({ doc: 'the subnet that addresses are taken from, in CIDR notation; no host bits' }),
  rangeStart: string({ doc: 'first address handed out' }),
  rangeEnd: string({ doc: 'last address handed out' }),
  gateway: string({ doc: 'address of the gateway, never handed out' }),
  exclude: list(string(), { doc: 'addresses, prefixes or first-last never handed out' }),
} as const

const range = object(rangeFields)

export const ipamSchema = object({
  type: string({ doc: 'this plugin: ipam-host-local, or host-local where installed under that name' }),
  ...rangeFields,
  ranges: list(list(range), { doc: 'range sets: a pod gets one address from each; 1024 ranges at most' }),
  routes: list(routeSchema, { doc: 'routes of the pod, passed on as they are' }),
  dataDir: string({ default: DEFAULT_DATA_DIR, doc: 'directory of the lease store, an absolute path' }),
  coolDown: integer({
    default: DEFAULT_COOL_DOWN_S,
    min: 0,
    max: MAX_COOL_DOWN_S,
    doc: 'how long an address should rest after its release',
  }),
  sticky: boolean({
    doc: 'a pod gets the addresses that the last pod of its namespace and name had, where they are free',
  }),
  statusMinFree: integer({
    default: 1,
    min: 0,
    doc: 'STATUS answers 50 when a range set has fewer free addresses',
  }),
  resolvConf: string({ doc: 'absolute path of a resolv.conf(5) whose contents become the result’s dns' }),
})

const ips = list(string(), {
  doc: 'addresses that the pod is to get, with or without a prefix length, which is the range’s',
})

export const netconfSchema = object({
  ipam: optional(ipamSchema),
  runtimeConfig: object({
    ips,
    ipRanges: list(list(range), { doc: 'range sets before those of the config' }),
  }),
  args: object({ cni: object({ ips }) }),
})

export type HostLocalNetconf = Infer<typeof ipamSchema> & {
  readonly sets: readonly RangeSet[]
  readonly requested: readonly IpAddress[]
}

/** With its range sets, by version of the call. */
const decodeNetconf = perConfig((config) => ({
  ...decode(netconfSchema, config),
  knownSets: new Map<string, readonly RangeSet[]>(),
}))

/** @throws CniError 7 for what is wrong in the config, 4 for what is wrong in CNI_ARGS */
export function parseNetconf(request: Request): HostLocalNetconf {
  const { ipam, runtimeConfig, args, knownSets } = decodeNetconf(request.netconf)
  if (ipam === undefined) throw invalid("IPAM config missing 'ipam' key")
  // MAC is for the plugin that delegates to us: one CNI_ARGS serves both.
  if (request.command !== 'STATUS') requireKnownArgs(request.args, ['IP', 'MAC'])
  const requested = [
    ...parseRequested('CNI_ARGS: IP', splitIp(request.args.get('IP'))),
    ...parseRequested('args.cni.ips', args.cni.ips),
    ...parseRequested('runtimeConfig.ips', runtimeConfig.ips),
  ]
  checkRoutes(ipam.routes)
  requirePath('ipam.dataDir', ipam.dataDir)
  requirePath('ipam.resolvConf', ipam.resolvConf)
  const sets = knownSets.get(request.cniVersion) ?? readSets(request, ipam, runtimeConfig.ipRanges)
  knownSets.set(request.cniVersion, sets)
  return { ...ipam, dataDir: readDataDir(request), sets, requested }
}

/**
 * All that DEL needs to know, whatever else the config says by now. '' is the same as none, as it is for Go; so is what
 * ADD refuses.
 */
export function readDataDir({ netconf }: Request): string {
  const ipam = findField(netconf, 'ipam')
  const dataDir = isObject(ipam) ? findField(ipam, 'dataDir') : undefined
  return typeof dataDir === 'string' && isPath(dataDir) ? dataDir : DEFAULT_DATA_DIR
}

/** What a relative path means depends on who reads it: the runtime's directory is not the daemon's. */
function requirePath(key: string, path: string): void {
  if (path !== '' && !isPath(path)) throw invalid(`${key}: ${JSON.stringify(path)} is no absolute path`)
}

function isPath(path: string): boolean {
  return path.startsWith('/') && !path.includes('\0')
}

function readSets(
  request: Request,
  ipam: Infer<typeof ipamSchema>,
  runtimeRanges: Infer<typeof netconfSchema>['runtimeConfig']['ipRanges'],
): RangeSet[] {
  const oneAddressPerFamily = atLeast(request.cniVersion, '0.3.0') ? undefined : request.cniVersion
  try {
    return parseRangeSets({ ...ipam, runtimeRanges, oneAddressPerFamily })
  } catch (cause) {
    if (cause instanceof RangeConfigError) throw invalid(cause.message, cause)
    throw cause
  }
}

function splitIp(text: string | undefined): string[] {
  return text === undefined || text === '' ? [] : text.split(',')
}

/** With or without a prefix length, which is the range's anyway. */
function parseRequested(source: string, texts: readonly string[]): IpAddress[] {
  return texts.map((text) => {
    try {
      return text.includes('/') ? Prefix.parse(text).address : IpAddress.parse(text)
    } catch (cause) {
      if (!(cause instanceof AddressError)) throw cause
      const code = source.startsWith('CNI_ARGS') ? CNI_CODE.invalidEnvironment : CNI_CODE.invalidNetconf
      throw new CniError(code, `${source}: ${cause.message}`, { cause })
    }
  })
}

function invalid(message: string, cause?: unknown): CniError {
  return new CniError(CNI_CODE.invalidNetconf, message, { cause })
}
