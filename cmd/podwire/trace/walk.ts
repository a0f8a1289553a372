// The way of a packet through this node, by what the kernel has: its routes as it looks them up, the ports of bridges,
// the chains at the hook forward, and who is masqueraded. What a node cannot see, who answers beyond its uplinks and
// what programs do with packets, is left open.

import type { Namespace } from '../../../lib/host/kernel.ts'
import type { Ports } from '../../../lib/host/ports.ts'
import type { IpAddress } from '../../../lib/ip/address.ts'
import { NetlinkError } from '../../../lib/netlink/error.ts'
import { chainName } from '../../../lib/nftables/chain.ts'
import { podwireTable } from '../../../lib/nftables/masquerade-rules.ts'
import { listMasquerade } from '../../../lib/nftables/podwire-table.ts'
import { tableName } from '../../../lib/nftables/table.ts'
import type { Link } from '../../../lib/rtnl/link.ts'
import type { Way } from '../../../lib/rtnl/route-lookup.ts'
import { type Attached, podText } from '../attached.ts'
import { type End, hasAddress, listPods } from './ends.ts'
import {
  noWay,
  passAddress,
  passBetween,
  passBridgeFilter,
  passFirewalls,
  passForwarding,
  passGuard,
  passPort,
  REPAIR,
  RESTART,
} from './hurdles.ts'
import { arrive, die, JourneyEnd, leave, type Outcome, type Step } from './journey.ts'

export interface Journey {
  readonly steps: readonly Step[]
  readonly outcome: Outcome
}

export async function walk(ports: Ports, from: End, to: End): Promise<Journey> {
  const walker = new Walker(ports)
  try {
    await walker.begin(from, to)
    throw new Error('a journey has an end')
  } catch (error) {
    if (error instanceof JourneyEnd) return { steps: walker.steps, outcome: error.outcome }
    throw error
  }
}

interface Packet {
  readonly source: IpAddress
  readonly dst: IpAddress
}

const ROUTE =
  'a route in the configuration (routes, isDefaultGateway); a restart of the pod, when it was lost'

class Walker {
  readonly steps: Step[] = []
  readonly #ports: Ports
  readonly #host: Namespace
  readonly #pods: readonly Attached[]

  constructor(ports: Ports) {
    this.#ports = ports
    this.#host = ports.kernel.host
    this.#pods = listPods(ports)
  }

  async begin(from: End, to: End): Promise<never> {
    if (from.kind === 'node') return this.#fromNode(await this.#dstOf(to))
    const packet = { source: from.address, dst: await this.#dstOf(to, from.address) }
    return from.kind === 'pod' ? this.#fromPod(from.pod, packet) : this.#fromOutside(packet)
  }

  /** The node is whatever address it would send from itself. */
  async #dstOf(to: End, from?: IpAddress): Promise<IpAddress> {
    if (to.kind !== 'node') return to.address
    if (from === undefined) return arrive('it is the node itself')
    const { source } = await this.#host.rtnl.lookUpRoute({ dst: from })
    return source ?? die(`the node has no address of IPv${from.family}`, 'ip addr tells those that it has')
  }

  #say(where: string, what: string): void {
    this.steps.push({ where, what })
  }

  async #fromPod(pod: Attached, packet: Packet): Promise<never> {
    const where = `pod ${podText(pod)}`
    const { mac, nextHop } = await this.#inside(pod, async (namespace) => {
      const link = await this.#podLink(namespace, pod)
      await passAddress(namespace, link, packet.source)
      const way = await namespace.rtnl
        .lookUpRoute(packet)
        .catch((error: unknown) => noWay(error, `${where} has no route to ${packet.dst}`, ROUTE))
      if (way.kind === 'local') return arrive('it is the pod’s own address')
      if (way.dev !== link.index) return leave(`by another interface of the pod than ${link.name}`)
      return { mac: link.mac, nextHop: way.gateway ?? packet.dst }
    })
    const how = nextHop.equals(packet.dst) ? 'directly' : `via ${nextHop}`
    this.#say(where, `${packet.dst} is reached ${how} by ${pod.ifname}`)
    const wire = await this.#wireOf(pod)
    await passGuard(this.#host, wire, mac)
    return this.#onWire(pod, wire, { ...packet, nextHop })
  }

  async #inside<T>(pod: Attached, look: (namespace: Namespace) => Promise<T>): Promise<T> {
    const namespace = this.#ports.kernel.openNamespace(pod.netns)
    try {
      return await look(namespace)
    } finally {
      namespace.close()
    }
  }

  async #podLink({ rtnl }: Namespace, pod: Attached): Promise<Link> {
    const link = await rtnl.findLink(pod.ifname)
    if (link === undefined) return die(`${podText(pod)} has no interface ${pod.ifname}`, RESTART)
    return link.up ? link : die(`${pod.ifname} of ${podText(pod)} is down`, RESTART)
  }

  /** The node's end. */
  async #wireOf(pod: Attached): Promise<Link> {
    const { hostIfname } = pod.fields
    if (hostIfname === undefined)
      return leave(
        `by ${pod.ifname}, whose other end this node does not have (${pod.attachments[0]?.plugin})`,
      )
    const wire = await this.#host.rtnl.findLink(hostIfname)
    if (wire === undefined) return die(`the node’s end of the wire, ${hostIfname}, is gone`, RESTART)
    return wire.up ? wire : die(`the node’s end of the wire, ${hostIfname}, is down`, REPAIR)
  }

  async #onWire(pod: Attached, wire: Link, packet: Packet & { nextHop: IpAddress }): Promise<never> {
    if (wire.master === undefined) {
      if (pod.fields.bridge !== undefined)
        return die(`${wire.name} is no port of ${pod.fields.bridge}`, REPAIR)
      this.#say(`wire ${wire.name}`, 'ends on the node')
      return this.#throughNode(wire, packet)
    }
    const bridge = await passPort(this.#host, wire)
    this.#say(`wire ${wire.name}`, `is a port of ${bridge.name}, ${wire.bridgePort?.state}`)
    const { nextHop } = packet
    if (await this.#isOfNode(nextHop)) {
      this.#say(`bridge ${bridge.name}`, `${nextHop} is the node’s own address`)
      return this.#throughNode(bridge, packet)
    }
    return this.#acrossBridge({ bridge, from: wire }, packet)
  }

  async #isOfNode(address: IpAddress): Promise<boolean> {
    return (await this.#host.rtnl.listAddresses()).some(({ prefix }) => prefix.address.equals(address))
  }

  /** From port to port. */
  async #acrossBridge(
    { bridge, from }: { bridge: Link; from: Link | undefined },
    packet: Packet & { nextHop: IpAddress },
  ): Promise<never> {
    const pod = this.#pods.find((one) => one.fields.bridge === bridge.name && hasAddress(one, packet.nextHop))
    if (pod === undefined) return this.#toStranger(bridge, packet.nextHop)
    const port = await this.#wireOf(pod)
    const where = `bridge ${bridge.name}`
    if (port.master !== bridge.index)
      return die(`${port.name}, the wire of ${podText(pod)}, is no port of ${bridge.name}`, REPAIR)
    await passPort(this.#host, port)
    if (from !== undefined) {
      passBetween(from, port)
      await passBridgeFilter(this.#host, bridge, packet.dst.family)
    }
    this.#say(where, `${packet.nextHop} is behind port ${port.name}`)
    return this.#intoPod(pod, packet)
  }

  /** Not of a pod: something else that is on the bridge, or nobody. */
  async #toStranger(bridge: Link, nextHop: IpAddress): Promise<never> {
    const own = new Set(this.#pods.flatMap(({ fields }) => fields.hostIfname ?? []))
    const ports = await this.#host.rtnl.listLinks({ master: bridge.index })
    const others = ports.filter(({ name }) => !own.has(name)).map(({ name }) => name)
    if (others.length > 0) return leave(`by ${bridge.name}: ${nextHop} may be behind ${others.join(', ')}`)
    return die(`nobody on ${bridge.name} has ${nextHop}`, 'podwire list tells who has which address')
  }

  async #fromNode(dst: IpAddress): Promise<never> {
    await this.#sayRewriters('output', dst)
    const way = await this.#host.rtnl
      .lookUpRoute({ dst })
      .catch((error: unknown) =>
        noWay(error, `the node has no route to ${dst}`, 'ip route tells those that it has'),
      )
    if (way.kind === 'local') return arrive('it is an address of the node')
    const source = way.source ?? die(`the node has no address to send from to ${dst}`, 'ip addr')
    const out = await this.#out(way)
    this.#say('node', `${wayText(way, out, dst)}, from ${source}`)
    return this.#beyond(out, { source, dst, nextHop: way.gateway ?? dst })
  }

  async #fromOutside(packet: Packet): Promise<never> {
    const back = await this.#host.rtnl
      .lookUpRoute({ dst: packet.source })
      .catch((error: unknown) =>
        noWay(
          error,
          `the node has no route to ${packet.source}, so none from it`,
          'ip route tells those that it has',
        ),
      )
    if (back.kind === 'local') return this.#fromNode(packet.dst)
    const link = await this.#out(back)
    this.#say(`link ${link.name}`, `${packet.source} is beyond it`)
    return this.#throughNode(link, packet)
  }

  /** It came in by a link, and the node routes it. */
  async #throughNode(from: Link, packet: Packet): Promise<never> {
    await this.#sayRewriters('prerouting', packet.dst)
    const way = await this.#route(from, packet)
    if (way.kind === 'local') return arrive(`the node has it; chains at the hook input are not looked at`)
    if (way.kind === 'other') return arrive(`it is for many`)
    passForwarding(this.#host, packet.dst.family)
    const out = await this.#out(way)
    this.#say('node', wayText(way, out, packet.dst))
    await passFirewalls(this.#host, { from, to: out, family: packet.dst.family })
    this.#say('node', 'no firewall drops it at the hook forward')
    const source = await this.#translate(packet, out)
    return this.#beyond(out, { source, dst: packet.dst, nextHop: way.gateway ?? packet.dst })
  }

  /** Services and host ports change where a packet goes. The chains that do so are named, not followed. */
  async #sayRewriters(hook: 'prerouting' | 'output', dst: IpAddress): Promise<void> {
    const families = ['inet', dst.family === 4 ? 'ip' : 'ip6']
    const found = (await this.#host.nft.listBaseChains(hook)).filter(
      ({ table, base }) => base?.type === 'nat' && families.includes(table.family),
    )
    // Ours are for host ports, which are the node's.
    const isOfNode = found.length > 0 && (await this.#isOfNode(dst))
    const chains = found.filter(({ table }) => isOfNode || tableName(table) !== tableName(podwireTable))
    if (chains.length === 0) return
    const names = chains.map((chain) => `chain ${chainName(chain)}`).join(', ')
    this.#say('node', `${names}: may send it elsewhere (a Service, a host port), and is not followed`)
  }

  /** As the kernel routes what comes in. Without `from` it would not look at where it came from. */
  async #route(from: Link, { source, dst }: Packet): Promise<Way> {
    const { rtnl } = this.#host
    try {
      return await rtnl.lookUpRoute({ dst, source, from: from.index })
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error
      passForwarding(this.#host, dst.family)
      const way = await this.#host.rtnl
        .lookUpRoute({ dst })
        .catch((second: unknown) =>
          noWay(second, `the node has no route to ${dst}`, 'ip route tells those that it has'),
        )
      return die(
        `the node does not take ${source} from ${from.name}, though it has a route to ${dst} (${way.kind}): rp_filter, or no route back (${error.code})`,
        `sysctl net.ipv4.conf.${from.name}.rp_filter; ip route get ${source}`,
      )
    }
  }

  async #out({ dev }: Way): Promise<Link> {
    const link = await this.#host.rtnl.getLink(dev)
    if (!link.up) return die(`${link.name} is down`, `ip link set ${link.name} up`)
    return link
  }

  /** @returns the address under which it goes on */
  async #translate({ source, dst }: Packet, out: Link): Promise<IpAddress> {
    const element = (await listMasquerade(this.#host.nft)).find(({ address }) => address.equals(source))
    if (element === undefined) {
      if (this.#isOfPod(source)) this.#say('node', `${source} is not masqueraded by Podwire`)
      return source
    }
    if (element.subnet?.contains(dst)) {
      this.#say('node', `${dst} is in its own subnet, ${element.subnet}: it keeps its address`)
      return source
    }
    const own = (await this.#host.rtnl.lookUpRoute({ dst }).catch(() => undefined))?.source
    this.#say('node', `it is masqueraded: goes on as ${own ?? `an address of ${out.name}`}`)
    return own ?? source
  }

  /** Out of a link of the node's. */
  async #beyond(out: Link, packet: Packet & { nextHop: IpAddress }): Promise<never> {
    if (out.kind === 'bridge') return this.#acrossBridge({ bridge: out, from: undefined }, packet)
    const pod = this.#pods.find(({ fields }) => fields.hostIfname === out.name)
    if (pod !== undefined) return this.#intoPod(pod, packet)
    const note = this.#isOfPod(packet.source) ? ', which answers must find a route to' : ''
    return leave(`by ${out.name}, to ${packet.nextHop}, as ${packet.source}${note}`)
  }

  #isOfPod(address: IpAddress): boolean {
    return this.#pods.some((one) => hasAddress(one, address))
  }

  async #intoPod(pod: Attached, { source, dst }: Packet): Promise<never> {
    const where = `pod ${podText(pod)}`
    await this.#inside(pod, async (namespace) => {
      const link = await this.#podLink(namespace, pod)
      await passAddress(namespace, link, dst)
      await namespace.rtnl
        .lookUpRoute({ dst: source })
        .catch((error: unknown) =>
          noWay(error, `it arrives, and ${where} has no route back to ${source}`, ROUTE),
        )
      this.#say(where, `${link.name} has ${dst}, and there is a route back`)
    })
    return arrive(`${podText(pod)} sees it come from ${source}`)
  }
}

function wayText({ gateway }: Way, out: Link, dst: IpAddress): string {
  return `routes ${dst} ${gateway === undefined ? '' : `via ${gateway} `}out of ${out.name}`
}
