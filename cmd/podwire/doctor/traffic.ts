// What lets packets of pods through, or does not: forwarding, firewalls, filters of the kernel.

import { forwardingSysctls } from '../../../lib/host/forwarding.ts'
import type { Family } from '../../../lib/ip/address.ts'
import { Prefix } from '../../../lib/ip/prefix.ts'
import { isNamed } from '../../../lib/nftables/expression.ts'
import { dropText, explainDrop, findForwardDrops } from '../../../lib/nftables/forward-drops.ts'
import { podwireTable } from '../../../lib/nftables/masquerade-rules.ts'
import type { NftRuleState } from '../../../lib/nftables/rule.ts'
import type { NftTable } from '../../../lib/nftables/table.ts'
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

const forwarding: Examination = {
  title: 'forwarding',
  examine: (patient) => {
    const { sysctl } = patient.ports.kernel.host
    const gateways = recordsOf(patient).flatMap((record) => record.gateways)
    const families = new Set<Family>(gateways.map((gateway) => Prefix.parse(gateway).family))
    const off = forwardingSysctls(families).filter(({ key, value }) => sysctl.find(key) !== value)
    const findings = off.map(({ key }) => {
      const what = `net/${key} is ${sysctl.find(key) ?? 'not there'}, and pods have their gateway on this node`
      return trouble(
        what,
        'podwire repair; and find out who set it: sysctl --system, a firewall, a hardening script',
      )
    })
    const families4and6 = forwardingSysctls(new Set([4, 6])).map(
      ({ key }) => `net/${key} ${sysctl.find(key) ?? 'none'}`,
    )
    return orOk(findings, families4and6.join(', '))
  },
}

const firewalls: Examination = {
  title: 'firewalls of others',
  examine: async (patient) => {
    const { nft, rtnl } = patient.ports.kernel.host
    const uplinks = await findUplinks(rtnl)
    const findings: Finding[] = []
    for (const bridge of bridgesOf(patient)) {
      const from = (await rtnl.findLink(bridge)) ?? { name: bridge }
      for (const drop of await findForwardDrops(nft, async () => ({ from, to: uplinks }))) {
        const { owner, remedy } = explainDrop(drop, bridge)
        findings.push(
          trouble(`${dropText(drop)} drops what pods on ${bridge} send out: it is of ${owner}`, remedy),
        )
      }
    }
    findings.push(...(await findOpenToUpstreams(patient)))
    return orOk(findings, 'no chain at the hook forward drops what pods send')
  },
}

/** Of upstream's firewall: two rules for each address of a pod, after the first; and the bridges that it closes. */
const UPSTREAM = { pods: 'CNI-FORWARD', closed: 'CNI-ISOLATION-STAGE-1' }
const CLOSED = ['same-bridge', 'isolated']

/** It knows the bridges that it had pods on, and ours only its own pods. Its chains stay when its pods go. */
async function findOpenToUpstreams(patient: Patient): Promise<Finding[]> {
  const { nft } = patient.ports.kernel.host
  const closed = closedBridges(patient)
  if (closed.length === 0) return []
  for (const family of ['ip', 'ip6'] as const) {
    const table = { family, name: 'filter' }
    if (!(await hasChain(nft, table, UPSTREAM.closed))) continue
    const known = await nft.listRules(table, UPSTREAM.closed)
    const unknown = closed.filter((bridge) => !known.some((rule) => comparesName(rule, bridge)))
    const hasPods = (await nft.listRules(table, UPSTREAM.pods)).length > 1
    if (unknown.length === 0 || !hasPods) continue
    const what = `pods of upstream's firewall (chain ${family} filter ${UPSTREAM.pods}), which does not know ${unknown.join(', ')}, and pods on it reach each other, closed as they are`
    return [warning(what, 'restart the pods of closed networks that upstream’s plugins attached')]
  }
  return []
}

function closedBridges(patient: Patient): string[] {
  const isClosed = ({ netconf: { ingressPolicy }, type }: ConfiguredPlugin) =>
    patient.findPlugin(type)?.name === 'cni-firewall' && CLOSED.some((policy) => policy === ingressPolicy)
  const configs = configuredPlugins(patient)
    .filter(isClosed)
    .map(({ config }) => config)
  return configs.length === 0 ? [] : bridgesOf({ ...patient, configs, attached: [] })
}

function comparesName({ expressions }: NftRuleState, name: string): boolean {
  return expressions.some((one) => {
    const value = isNamed(one, 'cmp') ? one.NFTA_EXPR_DATA.NFTA_CMP_DATA?.NFTA_DATA_VALUE : undefined
    return value !== undefined && new TextDecoder().decode(value).split('\0')[0] === name
  })
}

const LEGACY_TABLES = { iptables: '/proc/net/ip_tables_names', ip6tables: '/proc/net/ip6_tables_names' }

const legacyTables: Examination = {
  title: 'iptables-legacy',
  examine: ({ disk }) => {
    const used = Object.entries(LEGACY_TABLES).flatMap(([program, path]) => {
      const tables = (disk.read(path) ?? '').split('\n').filter((name) => name !== '')
      return tables.length === 0 ? [] : [{ program, tables }]
    })
    const findings = used.map(({ program, tables }) =>
      warning(
        `tables of ${program}-legacy are in use (${tables.join(', ')}): their rules count beside those of nftables, and cannot be looked into`,
        `${program}-legacy -S; move what uses them to ${program}-nft (update-alternatives --config ${program})`,
      ),
    )
    return orOk(findings, 'no tables')
  },
}

const SERVICES = 'KUBE-SERVICES'
const BRIDGE_CALLS = { 4: 'bridge/bridge-nf-call-iptables', 6: 'bridge/bridge-nf-call-ip6tables' }

/** kube-proxy's translation is only undone for pods on one bridge when what the bridge passes on is routed, too. */
const bridgeNetfilter: Examination = {
  title: 'br_netfilter',
  examine: async ({ ports }) => {
    const { nft, sysctl } = ports.kernel.host
    const value = sysctl.find(BRIDGE_CALLS[4])
    const isOn = value === '1'
    const hasServices = await hasChain(nft, { family: 'ip', name: 'nat' }, SERVICES)
    if (hasServices && !isOn) {
      const state = value === undefined ? 'not loaded' : `net/${BRIDGE_CALLS[4]} is ${value}`
      return [
        warning(
          `${state}, and kube-proxy is there: a pod does not reach a Service whose pod is on its own bridge`,
          `modprobe br_netfilter; sysctl net.bridge.bridge-nf-call-iptables=1`,
        ),
      ]
    }
    if (value === undefined) return [ok('not loaded; bridges pass on what they get')]
    return [ok(isOn ? 'what bridges pass on goes through iptables, too' : 'bridges pass on what they get')]
  },
}

async function hasChain(
  nft: Patient['ports']['kernel']['host']['nft'],
  table: NftTable,
  name: string,
): Promise<boolean> {
  return (await nft.listChains(table)).some((chain) => chain.name === name)
}

const STRICT = '1'

/** Strict: what comes in by another link than answers would take is dropped (ip-sysctl, rp_filter). */
const reversePath: Examination = {
  title: 'rp_filter',
  examine: async ({ ports }) => {
    const { rtnl, sysctl } = ports.kernel.host
    const ofAll = Number(sysctl.find('ipv4/conf/all/rp_filter') ?? 0)
    const uplinks = await findUplinks(rtnl)
    const valueAt = (name: string) =>
      String(Math.max(ofAll, Number(sysctl.find(`ipv4/conf/${name}/rp_filter`) ?? 0)))
    const strict = uplinks.filter(({ name }) => valueAt(name) === STRICT).map(({ name }) => name)
    if (uplinks.length < 2 || strict.length === 0) {
      const values = uplinks.map(({ name }) => `${name} ${valueAt(name)}`)
      return [ok(values.length === 0 ? 'there is no uplink' : values.join(', '))]
    }
    return [
      warning(
        `it is strict on ${strict.join(', ')}, and there are ${uplinks.length} uplinks: what comes in by one and is answered by another is dropped`,
        strict.map((name) => `sysctl net.ipv4.conf.${name}.rp_filter=2`).join('; '),
      ),
    ]
  },
}

/** Of cni-portmap's (lib/hostport/hostport-rules.ts): drops what others send to 127.0.0.1. */
const LOOPBACK_GUARD = 'hostport_input'

/** Pods could reach what listens on the node's loopback alone (CVE-2020-8558). */
const routeLocalnet: Examination = {
  title: 'route_localnet',
  examine: async (patient) => {
    const { sysctl, nft } = patient.ports.kernel.host
    const open = ['all', ...bridgesOf(patient)].filter(
      (name) => sysctl.find(`ipv4/conf/${name}/route_localnet`) === '1',
    )
    if (open.length === 0) return [ok('off')]
    const guards = await nft.listRules(podwireTable, LOOPBACK_GUARD)
    if (guards.length > 0)
      return [ok(`on for ${open.join(', ')}, for host ports; ${LOOPBACK_GUARD} keeps pods from 127.0.0.1`)]
    return open.map((name) =>
      warning(
        `it is on for ${name}, and nothing of Podwire keeps pods from what listens on 127.0.0.1 of the node`,
        `sysctl net.ipv4.conf.${name}.route_localnet=0, unless host ports on 127.0.0.1 are wanted`,
      ),
    )
  },
}

/** A router takes no routes from routers: with forwarding on, a route that was learnt goes when it expires. */
const advertisedRoutes: Examination = {
  title: 'IPv6 default route',
  examine: async ({ ports }) => {
    const { rtnl, sysctl } = ports.kernel.host
    const routes = (await rtnl.listRoutes({ family: 6 })).filter(({ dst }) => dst.length === 0)
    const learnt = routes.filter(({ advertised }) => advertised)
    if (learnt.length === 0)
      return [ok(routes.length === 0 ? 'there is none' : 'it is not learnt from a router')]
    const findings: Finding[] = []
    for (const dev of new Set(learnt.flatMap((route) => route.dev ?? []))) {
      const name = (await rtnl.findLink(dev))?.name ?? `#${dev}`
      const isRouter = sysctl.find(`ipv6/conf/${name}/forwarding`) === '1'
      if (!isRouter || sysctl.find(`ipv6/conf/${name}/accept_ra`) !== '1') continue
      findings.push(
        trouble(
          `${name} learnt it from a router, forwards, and hears no more of it: it goes when it expires`,
          `sysctl net.ipv6.conf.${name}.accept_ra=2`,
        ),
      )
    }
    return orOk(findings, 'it is learnt from a router, and kept')
  },
}

export const TRAFFIC: readonly Examination[] = [
  forwarding,
  firewalls,
  legacyTables,
  bridgeNetfilter,
  reversePath,
  routeLocalnet,
  advertisedRoutes,
]
