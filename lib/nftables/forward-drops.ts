// Whether somebody's firewall drops what pods send out of the node: the base chains at the hook `forward`, walked for
// a new connection from a bridge to an uplink.
//
// The walk errs on the side of silence. A condition that it cannot judge may hold, and an accept behind it may be for
// the pods: a firewall is only blamed when every way to an accept is closed by something that is known not to hold.

import type { Family } from '../ip/address.ts'
import { chainName, type NftChain } from './chain.ts'
import { conditionsOf, type Packet } from './forward-conditions.ts'
import { isForwardPass } from './forward-pass.ts'
import type { Nft } from './nft.ts'
import type { NftRuleState } from './rule.ts'
import { tableName } from './table.ts'

export interface ForwardDrop {
  readonly chain: NftChain
  readonly families: readonly Family[]
  /** `policy drop`, or that of a rule: all that was not accepted before is dropped or rejected. */
  readonly by: 'policy' | 'rule'
  /** The names of all chains in its table: they tell whose table it is. */
  readonly chains: readonly string[]
  /** It lets pass what carries our mark (forward-pass.ts). */
  readonly isPassed: boolean
}

/** `chain ip filter FORWARD (policy drop)` */
export function dropText({ chain, by }: ForwardDrop): string {
  return `chain ${chainName(chain)} (${by === 'policy' ? 'policy drop' : 'its last rule drops or rejects'})`
}

const FAMILIES_OF: Readonly<Record<string, readonly Family[]>> = { ip: [4], ip6: [6], inet: [4, 6] }

/** @param packetOf  the first one of a connection that a pod makes; asked for when there is a firewall at all */
export async function findForwardDrops(nft: Nft, packetOf: () => Promise<Packet>): Promise<ForwardDrop[]> {
  const filters = (await nft.listBaseChains('forward')).flatMap((chain) => {
    const families = FAMILIES_OF[chain.table.family]
    return families === undefined || chain.base?.type !== 'filter' ? [] : [{ chain, families }]
  })
  if (filters.length === 0) return []
  const packet = await packetOf()
  const drops: ForwardDrop[] = []
  for (const { chain, families } of filters) {
    const by = await dropsBy({ nft, chain, packet })
    if (by === undefined) continue
    const chains = (await nft.listChains(chain.table)).map(({ name }) => name)
    const isPassed = (await nft.listRules(chain.table, chain.name)).some(isForwardPass)
    drops.push({ chain, families, by, chains, isPassed })
  }
  return drops
}

async function dropsBy(surroundings: Surroundings): Promise<ForwardDrop['by'] | undefined> {
  const { chain } = surroundings
  const end = await new Walk(surroundings).chain(chain.name)
  if (end === 'drops') return 'rule'
  return end === 'continues' && chain.base?.policy === 'drop' ? 'policy' : undefined
}

/** `accepts`: maybe. `drops`: certainly. `continues`: after the jump, or to the policy. */
type End = 'accepts' | 'drops' | 'continues'

interface Surroundings {
  readonly nft: Nft
  readonly chain: NftChain
  readonly packet: Packet
}

class Walk {
  readonly #in: Surroundings
  /** A chain that was walked once has the same end again. */
  readonly #ends = new Map<string, End>()

  constructor(surroundings: Surroundings) {
    this.#in = surroundings
  }

  async chain(name: string): Promise<End> {
    const known = this.#ends.get(name)
    if (known !== undefined) return known
    this.#ends.set(name, 'continues') // the kernel takes no circles
    const end = await this.#rules(await this.#in.nft.listRules(this.#in.chain.table, name))
    this.#ends.set(name, end)
    return end
  }

  async #rules(rules: readonly NftRuleState[]): Promise<End> {
    for (const { expressions } of rules) {
      const { holds, verdicts } = await conditionsOf(expressions, this.#in)
      if (holds === 'never') continue
      for (const verdict of verdicts) {
        const end = await this.#verdict(verdict)
        if (end === 'accepts') return end
        // What may or may not hold ends nothing for certain.
        if (end !== undefined && holds === 'always' && verdicts.length === 1) return end
      }
    }
    return 'continues'
  }

  /** @returns undefined when the next rule is looked at */
  async #verdict(verdict: string): Promise<End | undefined> {
    const [word, target = ''] = verdict.split(' ')
    switch (word) {
      case 'drop':
        return 'drops'
      case 'return':
        return 'continues'
      case 'continue':
        return undefined
      case 'goto':
        return this.chain(target)
      case 'jump': {
        const end = await this.chain(target)
        return end === 'continues' ? undefined : end
      }
      default:
        return 'accepts' // accept, and what is not known here: queue and the like
    }
  }
}

const OWNERS: readonly {
  readonly name: string
  readonly owns: (drop: ForwardDrop) => boolean
  readonly remedy: (bridge: string) => string
}[] = [
  {
    name: 'Docker',
    owns: ({ chains }) => chains.some((name) => name.startsWith('DOCKER')),
    remedy: (bridge) =>
      `iptables -I DOCKER-USER -i ${bridge} -j ACCEPT; iptables -I DOCKER-USER -o ${bridge} -j ACCEPT`,
  },
  {
    name: 'firewalld',
    owns: ({ chain }) => chain.table.name === 'firewalld',
    remedy: (bridge) =>
      `firewall-cmd --permanent --zone=trusted --add-interface=${bridge} && firewall-cmd --reload`,
  },
  {
    name: 'ufw',
    owns: ({ chains }) => chains.some((name) => name.startsWith('ufw')),
    remedy: (bridge) => `ufw route allow in on ${bridge}; ufw route allow out on ${bridge}`,
  },
]

/** Whose chain it likely is, and what lets pods through. */
export function explainDrop(drop: ForwardDrop, bridge: string): { owner: string; remedy: string } {
  const owner = OWNERS.find(({ owns }) => owns(drop))
  if (owner !== undefined) return { owner: owner.name, remedy: owner.remedy(bridge) }
  const { chain } = drop
  const isIptables = chain.name === 'FORWARD' && chain.table.name === 'filter'
  if (isIptables) {
    const program = chain.table.family === 'ip6' ? 'ip6tables' : 'iptables'
    const accept = (flag: string) => `${program} -I FORWARD ${flag} ${bridge} -j ACCEPT`
    return { owner: `rules of ${program}`, remedy: `${accept('-i')}; ${accept('-o')}` }
  }
  const insert = (field: string) => `nft insert rule ${chainName(chain)} ${field} ${bridge} accept`
  return {
    owner: `whoever made table ${tableName(chain.table)}`,
    remedy: `${insert('iifname')}; ${insert('oifname')}`,
  }
}
