// Links of the node that get in the way of pods, or come from somebody else.

import { findField, isObject } from '../../../lib/cni/schema.ts'
import { Prefix } from '../../../lib/ip/prefix.ts'
import { RangeConfigError } from '../../../lib/ipam/range.ts'
import { parseRangeSets } from '../../../lib/ipam/range-set.ts'
import type { LinkAddressState } from '../../../lib/rtnl/address.ts'
import type { Link } from '../../../lib/rtnl/link.ts'
import { findUplinks } from '../../../lib/rtnl/uplink.ts'
import {
  bridgesOf,
  type ConfiguredPlugin,
  configuredPlugins,
  type Examination,
  type Finding,
  ok,
  orOk,
  type Patient,
  recordsOf,
  trouble,
  warning,
} from './examination.ts'

const mtu: Examination = {
  title: 'MTU',
  examine: async (patient) => {
    const uplinks = await findUplinks(patient.ports.kernel.host.rtnl)
    if (uplinks.length === 0) return [ok('there is no uplink')]
    const smallest = uplinks.reduce((least, link) => (link.mtu < least.mtu ? link : least))
    const mtus = [...new Set(recordsOf(patient).flatMap((record) => record.mtu ?? []))].sort((a, b) => a - b)
    const tooLarge = mtus.filter((one) => one > smallest.mtu)
    if (tooLarge.length === 0)
      return [ok(`${smallest.name} ${smallest.mtu}${mtus.length > 0 ? `, pods ${mtus.join(', ')}` : ''}`)]
    const remedy = '"mtu": "auto" in the configuration, and a restart of the pods'
    return [
      warning(
        `pods have ${tooLarge.join(', ')}, ${smallest.name} by which they reach the world ${smallest.mtu}: large packets are lost where no one says so`,
        remedy,
      ),
    ]
  },
}

const addresses: Examination = {
  title: 'addresses of bridges',
  examine: async (patient) => {
    const { rtnl } = patient.ports.kernel.host
    const all = (await rtnl.listAddresses()).filter(({ scope }) => scope === 0)
    const names = new Map((await rtnl.listLinks()).map(({ index, name }) => [index, name]))
    const nameOf = ({ dev }: LinkAddressState) => names.get(dev) ?? `#${dev}`
    const own = new Set(bridgesOf(patient))
    const findings = all.flatMap((one, i) =>
      all
        .slice(i + 1)
        .filter((other) => other.dev !== one.dev && (own.has(nameOf(one)) || own.has(nameOf(other))))
        .filter((other) => isHostRoute(one, other) === false && one.prefix.overlaps(other.prefix))
        .map((other) => overlap(one, other, nameOf)),
    )
    findings.push(
      ...configuredPlugins(patient).flatMap((one) => findMovedGateways(patient, one, { all, nameOf })),
    )
    const ours = all.filter((one) => own.has(nameOf(one))).map((one) => `${nameOf(one)} ${one.prefix}`)
    return orOk(findings, ours.join(', ') || 'none yet')
  },
}

/** The subnet of a network was changed, and its bridge has the old gateway: ADD fails, as it must not guess. */
function findMovedGateways(
  { findPlugin }: Patient,
  { netconf, type, config }: ConfiguredPlugin,
  { all, nameOf }: { all: readonly LinkAddressState[]; nameOf: (one: LinkAddressState) => string },
): Finding[] {
  const field = (name: string) => findField(netconf, name)
  const isGateway = field('isGateway') === true || field('isDefaultGateway') === true
  if (findPlugin(type)?.name !== 'cni-bridge' || !isGateway || field('forceAddress') === true) return []
  const bridge = field('bridge') || 'cni0'
  const present = all.filter((one) => nameOf(one) === bridge).map(({ prefix }) => prefix)
  const wanted = gatewaysOf(field('ipam'))
  return wanted.flatMap((gateway) =>
    present
      .filter((one) => one.overlaps(gateway) && !wanted.some((other) => other.equals(one)))
      .map((one) =>
        trouble(
          `${bridge} has ${one}, and network ${config.name} wants ${gateway} there: ADD fails`,
          `once no pod has that gateway: ip addr del ${one} dev ${bridge}`,
        ),
      ),
  )
}

/** Those that host-local's ranges have; another IPAM plugin tells its own at ADD. */
function gatewaysOf(ipam: unknown): Prefix[] {
  if (!isObject(ipam)) return []
  try {
    return parseRangeSets(ipam)
      .flat()
      .flatMap(({ gateway, subnet }) => (gateway === undefined ? [] : [Prefix.of(gateway, subnet.length)]))
  } catch (error) {
    if (error instanceof RangeConfigError) return [] // said by STATUS
    throw error
  }
}

/** One of them is for one host only, as the gateways of cni-ptp are: no subnet of its own. */
function isHostRoute(...both: readonly LinkAddressState[]): boolean {
  return both.some(({ prefix }) => prefix.length === (prefix.family === 4 ? 32 : 128))
}

function overlap(
  one: LinkAddressState,
  other: LinkAddressState,
  nameOf: (one: LinkAddressState) => string,
): Finding {
  const isSame = one.prefix.address.equals(other.prefix.address)
  const what = isSame
    ? `${nameOf(one)} and ${nameOf(other)} both have ${one.prefix.address}`
    : `${one.prefix} of ${nameOf(one)} and ${other.prefix} of ${nameOf(other)} are one subnet`
  return trouble(
    `${what}: pods of one of them are not reached`,
    'give each network a subnet of its own; ip addr del takes one that is left over',
  )
}

const downBridges: Examination = {
  title: 'bridges',
  examine: async (patient) => {
    const { rtnl } = patient.ports.kernel.host
    const findings: Finding[] = []
    for (const name of new Set(recordsOf(patient).flatMap(({ bridge }) => bridge ?? []))) {
      const link = await rtnl.findLink(name)
      if (link === undefined)
        findings.push(
          trouble(`${name} is gone, and pods were on it`, 'restart the pods: their wires are cut'),
        )
      else if (!link.up) findings.push(trouble(`${name} is down, and pods are on it`, 'podwire repair'))
    }
    const bridges = bridgesOf(patient)
    return orOk(findings, bridges.length === 0 ? 'no configuration names one' : bridges.join(', '))
  },
}

const OTHERS: readonly { readonly name: string; readonly is: (link: Link) => boolean }[] = [
  { name: 'flannel', is: ({ name }) => /^flannel[.-]/.test(name) },
  { name: 'Calico', is: ({ name }) => /^cali[0-9a-f]{11}$|^vxlan\.calico$/.test(name) },
  { name: 'Cilium', is: ({ name }) => name.startsWith('cilium_') },
  { name: 'Weave Net', is: ({ name }) => name === 'weave' || name.startsWith('vethwe') },
  { name: 'kube-router', is: ({ name }) => name === 'kube-bridge' },
  { name: 'Antrea', is: ({ name }) => name.startsWith('antrea-') },
]

const otherNetworks: Examination = {
  title: 'links of other network plugins',
  examine: async ({ ports }) => {
    const links = await ports.kernel.host.rtnl.listLinks()
    const findings = OTHERS.flatMap(({ name, is }) => {
      const names = links.filter(is).map((link) => link.name)
      if (names.length === 0) return []
      const shown = `${names.slice(0, 3).join(', ')}${names.length > 3 ? `, and ${names.length - 3} more` : ''}`
      return [
        warning(
          `${shown}: of ${name}`,
          `if ${name} is not used any more: ip link del ${names[0]}, and its rules with a reboot`,
        ),
      ]
    })
    return orOk(findings, 'none')
  },
}

export const LINKS: readonly Examination[] = [mtu, addresses, downBridges, otherNetworks]
