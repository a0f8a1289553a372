// Results (SPEC.md, "Success"): the internal form is that of 1.1.0; every version can be read and written.
//
// What an older version does not know is left out. 1.0.0 is the exception, and routes are from 0.3.0 on: they are written
// like those of 1.1.0, as upstream does, because bridge, ptp and chained plugins read those fields and the spec lets a
// reader ignore what it does not know.
// Keys come in the order in which upstream prints them: by alphabet in 1.x, by its Go structures before.

import { CNI_CODE, CniError } from './errors.ts'
import {
  decode,
  findField,
  type Infer,
  integer,
  isObject,
  list,
  object,
  optional,
  type Schema,
  string,
  typeName,
} from './schema.ts'
import { atLeast, DEFAULT_VERSION, isSpecVersion, type SpecVersion } from './versions.ts'

export interface ResultInterface {
  readonly name: string
  readonly mac?: string
  readonly mtu?: number
  /** Path of the namespace; absent for a link on the node. */
  readonly sandbox?: string
  readonly socketPath?: string
  readonly pciID?: string
}

export interface ResultIp {
  /** With prefix length: 10.1.0.5/24. */
  readonly address: string
  readonly gateway?: string
  /** Index into the result's interfaces. */
  readonly interface?: number
}

export interface ResultRoute {
  readonly dst: string
  readonly gw?: string
  readonly mtu?: number
  readonly advmss?: number
  readonly priority?: number
  readonly table?: number
  /** RT_SCOPE_*: 0 global, 253 link, 254 host. */
  readonly scope?: number
}

export interface Dns {
  readonly nameservers?: readonly string[]
  readonly domain?: string
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

export interface Result {
  readonly interfaces?: readonly ResultInterface[]
  readonly ips?: readonly ResultIp[]
  readonly routes?: readonly ResultRoute[]
  readonly dns?: Dns
}

export const dnsSchema = object(
  {
    nameservers: list(string(), { doc: 'addresses of name servers, in order of preference' }),
    domain: string({ doc: 'local domain for short names' }),
    search: list(string(), { doc: 'search domains' }),
    options: list(string(), { doc: 'options of the resolver' }),
  },
  { doc: 'passed on in the result' },
)

const routeSchema = object({
  dst: string(),
  gw: string(),
  mtu: integer(),
  advmss: integer(),
  priority: integer(),
  table: optional(integer()),
  scope: optional(integer()),
})

const richSchema = object({
  interfaces: list(
    object({
      name: string(),
      mac: string(),
      mtu: integer(),
      sandbox: string(),
      socketPath: string(),
      pciID: string(),
    }),
  ),
  ips: list(object({ address: string(), gateway: string(), interface: optional(integer({ min: 0 })) })),
  routes: list(routeSchema),
  dns: dnsSchema,
})

const ipSchema = optional(object({ ip: string(), gateway: string(), routes: list(routeSchema) }))
const plainSchema = object({ ip4: ipSchema, ip6: ipSchema, dns: dnsSchema })

/**
 * Reads a result of any version.
 *
 * @param fallback  its version when it does not say: for prevResult and delegates that of the config
 * @throws CniError 6
 */
export function parseResult(value: unknown, fallback: SpecVersion = DEFAULT_VERSION): Result {
  if (!isObject(value)) throw undecodable(`expected an object, got ${typeName(value)}`)
  const version = versionOf(value, fallback)
  return atLeast(version, '0.3.0')
    ? fromRich(decodeAs(richSchema, value))
    : fromPlain(decodeAs(plainSchema, value))
}

/**
 * The result as JSON of this version.
 *
 * @throws CniError 999 for 0.1.0 and 0.2.0 when the result has no address: they cannot say that
 */
export function encodeResult(result: Result, version: SpecVersion): object {
  if (atLeast(version, '1.0.0')) return encodeModern(result, version)
  return atLeast(version, '0.3.0') ? encodeRich(result, version) : encodePlain(result, version)
}

function versionOf(value: Readonly<Record<string, unknown>>, fallback: SpecVersion): SpecVersion {
  const version = findField(value, 'cniVersion') ?? ''
  if (typeof version !== 'string')
    throw undecodable(`cniVersion: expected a string, got ${typeName(version)}`)
  if (version === '') return fallback
  if (!isSpecVersion(version)) throw undecodable(`unsupported CNI result version ${JSON.stringify(version)}`)
  return version
}

/** A schema blames the config (7); a result that is wrong is one that cannot be decoded (6). */
function decodeAs<T>(schema: Schema<T>, value: unknown): T {
  try {
    return decode(schema, value)
  } catch (error) {
    throw error instanceof CniError ? undecodable(error.message) : error
  }
}

function undecodable(why: string): CniError {
  return new CniError(CNI_CODE.decodingFailure, `invalid result: ${why}`)
}

function fromRich({ interfaces, ips, routes, dns }: Infer<typeof richSchema>): Result {
  return omitEmpty({
    interfaces: interfaces.map(({ name, ...rest }) => ({ name, ...omitEmpty(rest) })),
    ips: ips.map(({ address, ...rest }) => ({ address, ...omitEmpty(rest) })),
    routes: routes.map(fromRoute),
    dns: omitEmpty(dns),
  })
}

function fromPlain({ ip4, ip6, dns }: Infer<typeof plainSchema>): Result {
  const given = [ip4, ip6].filter((ip) => ip !== undefined)
  return omitEmpty({
    ips: given.map(({ ip, gateway }) => ({ address: ip, ...omitEmpty({ gateway }) })),
    routes: given.flatMap(({ routes }) => routes.map(fromRoute)),
    dns: omitEmpty(dns),
  })
}

function fromRoute({ dst, ...rest }: Infer<typeof routeSchema>): ResultRoute {
  return { dst, ...omitEmpty(rest) }
}

function encodeModern(
  { interfaces = [], ips = [], routes = [], dns = {} }: Result,
  cniVersion: string,
): object {
  return omitEmpty({
    cniVersion,
    dns: encodeDns(dns),
    interfaces: interfaces.map(({ name, mac, mtu, pciID, sandbox, socketPath }) => ({
      ...omitEmpty({ mac, mtu }),
      name,
      ...omitEmpty({ pciID, sandbox, socketPath }),
    })),
    ips: ips.map(({ address, gateway, interface: index }) => ({
      address,
      ...omitEmpty({ gateway, interface: index }),
    })),
    routes: routes.map(({ advmss, dst, gw, mtu, priority, scope, table }) => ({
      ...omitEmpty({ advmss }),
      dst,
      ...omitEmpty({ gw, mtu, priority, scope, table }),
    })),
  })
}

/** 0.3.0 to 0.4.0. */
function encodeRich(
  { interfaces = [], ips = [], routes = [], dns = {} }: Result,
  cniVersion: string,
): object {
  return {
    ...omitEmpty({
      cniVersion,
      interfaces: interfaces.map(({ name, mac, sandbox }) => ({ name, ...omitEmpty({ mac, sandbox }) })),
      ips: ips.map(({ address, gateway, interface: index }) => ({
        version: isIpv4(address) ? '4' : '6',
        ...omitEmpty({ interface: index }),
        address,
        ...omitEmpty({ gateway }),
      })),
      routes: routes.map(({ dst, gw, mtu, advmss, priority, table, scope }) => ({
        dst,
        ...omitEmpty({ gw, mtu, advmss, priority, table, scope }),
      })),
    }),
    dns: encodeDns(dns),
  }
}

/** 0.1.0 and 0.2.0: the first address of each family, and the routes of the families that have one. */
function encodePlain({ ips = [], routes = [], dns = {} }: Result, cniVersion: string): object {
  const ip4 = ips.find(({ address }) => isIpv4(address))
  const ip6 = ips.find(({ address }) => !isIpv4(address))
  if (ip4 === undefined && ip6 === undefined) {
    throw new CniError(CNI_CODE.internal, 'cannot convert: no valid IP addresses', {
      details: `a result of version ${cniVersion} must have an address; 0.3.0 and later need none`,
    })
  }
  const encodeIp = ({ address, gateway }: ResultIp) => {
    const own = routes.filter(({ dst }) => isIpv4(dst) === isIpv4(address))
    return { ip: address, ...omitEmpty({ gateway, routes: own.map(encodeRoute) }) }
  }
  return {
    cniVersion,
    ...(ip4 === undefined ? {} : { ip4: encodeIp(ip4) }),
    ...(ip6 === undefined ? {} : { ip6: encodeIp(ip6) }),
    dns: encodeDns(dns),
  }
}

/** As 0.1.0 and 0.2.0 know them. */
function encodeRoute({ dst, gw }: ResultRoute): object {
  return { dst, ...omitEmpty({ gw }) }
}

function encodeDns({ nameservers, domain, search, options }: Dns): object {
  return omitEmpty({ nameservers, domain, search, options })
}

/** IPv4 written as IPv6 (::ffff:10.0.0.1) is IPv4, as it is in Go. */
function isIpv4(address: string): boolean {
  return /^(?:::ffff:)?[0-9.]+(?:\/|$)/i.test(address)
}

type NonEmpty<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> }

/** Numbers of which 0 is a value like any other: Go has pointers there. */
const ZERO_IS_A_VALUE = ['interface', 'table', 'scope']

/** Leaves out what Go's `omitempty` does: undefined, '', 0, empty lists; and objects in which nothing is left. */
function omitEmpty<T extends object>(object: T): NonEmpty<T> {
  const kept: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(object))
    if (ZERO_IS_A_VALUE.includes(key) ? value !== undefined : !isEmpty(value)) kept[key] = value
  return kept as NonEmpty<T>
}

function isEmpty(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return value === undefined || value === '' || value === 0
  return Object.keys(value).length === 0
}
