// The network config of `cni-portmap`: fields, defaults and contradictions. The words are upstream's.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import {
  boolean,
  checkedLater,
  decode,
  type Infer,
  integer,
  list,
  object,
  optional,
  parsed,
  string,
} from '../../lib/cni/schema.ts'
import { PROTOCOLS, type Protocol } from '../../lib/hostport/hostport.ts'
import { IpAddress } from '../../lib/ip/address.ts'

const MAX_PORT = 65535
const MAX_MARK_BIT = 31
const BACKENDS = ['iptables', 'nftables']

const portField = (doc: string) => checkedLater(integer({ doc }), { min: 1, max: MAX_PORT })

const portMapping = object({
  hostPort: portField('port of the node'),
  containerPort: portField('port of the pod'),
  protocol: checkedLater(parsed(string({ doc: 'in any case; tcp when absent' }), parseProtocol), {
    values: PROTOCOLS,
  }),
  hostIP: parsed(string({ doc: 'address of the node; when absent, and for 0.0.0.0 and ::, any' }), (text) =>
    IpAddress.parse(text),
  ),
})

export const netconfSchema = object({
  snat: boolean({
    default: true,
    doc: 'neighbours of the pod, the pod itself and 127.0.0.1 reach the port, too, under the node’s address',
  }),
  masqAll: boolean({ doc: 'with snat: everybody who comes by the port appears under the node’s address' }),
  backend: checkedLater(optional(string({ doc: 'accepted as upstream does; it is always nftables' })), {
    values: BACKENDS,
  }),
  markMasqBit: checkedLater(
    optional(
      integer({ doc: 'accepted as upstream does; the mark is always bit 13, on the first packet only' }),
    ),
    { min: 0, max: MAX_MARK_BIT },
  ),
  externalSetMarkChain: optional(
    string({ doc: 'accepted as upstream does, not with markMasqBit; masquerading needs no chain of others' }),
  ),
  conditionsV4: list(string(), { doc: 'refused unless empty: all pods share the rules' }),
  conditionsV6: list(string(), { doc: 'refused unless empty: all pods share the rules' }),
  runtimeConfig: object({
    portMappings: list(portMapping, { doc: 'the pod’s host ports' }),
  }),
})

type Decoded = Infer<typeof netconfSchema>

export interface PortMapping {
  readonly protocol: Protocol
  readonly hostPort: number
  readonly containerPort: number
  readonly hostIp: IpAddress | undefined
}

export interface PortmapNetconf {
  readonly snat: boolean
  readonly masqAll: boolean
  readonly mappings: readonly PortMapping[]
}

/** @throws CniError 7 for wrong types and contradictions, 2 for what nftables here cannot do */
export function parseNetconf(netconf: Readonly<Record<string, unknown>>): PortmapNetconf {
  const decoded = decode(netconfSchema, netconf)
  refuseContradictions(decoded)
  const { snat, masqAll, runtimeConfig } = decoded
  const mappings = runtimeConfig.portMappings.map(({ protocol = 'tcp', hostIP: hostIp, ...ports }) => {
    requirePort('container', ports.containerPort)
    requirePort('host', ports.hostPort)
    return { ...ports, protocol, hostIp }
  })
  return { snat, masqAll, mappings }
}

function refuseContradictions(conf: Decoded): void {
  const { backend, markMasqBit, externalSetMarkChain } = conf
  if (markMasqBit !== undefined && externalSetMarkChain !== undefined)
    throw invalid('Cannot specify externalSetMarkChain and markMasqBit')
  if (markMasqBit !== undefined && (markMasqBit < 0 || markMasqBit > MAX_MARK_BIT))
    throw invalid('MasqMarkBit must be between 0 and 31')
  if (backend !== undefined && !BACKENDS.includes(backend))
    throw invalid(`unrecognized backend ${JSON.stringify(backend)}`)
  if (backend === 'nftables' && externalSetMarkChain !== undefined)
    throw invalid('nftables backend was requested but configuration contains iptables-specific options')
  for (const key of ['conditionsV4', 'conditionsV6'] as const) {
    if (conf[key].length === 0) continue
    const message = `${key} ${JSON.stringify(conf[key])} is not supported: host ports are elements of one map, without rules of their own`
    throw new CniError(CNI_CODE.unsupportedField, message, {
      details:
        'leave it out and give each mapping a hostIP, or drop in a table of your own what must not reach the port',
    })
  }
}

function parseProtocol(text: string): Protocol {
  const protocol = PROTOCOLS.find((one) => one === text.toLowerCase())
  if (protocol === undefined)
    throw new RangeError(`${JSON.stringify(text)} is none of ${PROTOCOLS.join(', ')}`)
  return protocol
}

function requirePort(whose: 'container' | 'host', port: number): void {
  if (port <= 0 || port > MAX_PORT) throw invalid(`Invalid ${whose} port number: ${port}`)
}

function invalid(message: string): CniError {
  return new CniError(CNI_CODE.invalidNetconf, message)
}
