// The network config of `cni-bandwidth`. The words of its errors are upstream's.

import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Request } from '../../lib/cni/request.ts'
import { decode, type Infer, integer, object, optional } from '../../lib/cni/schema.ts'
import type { Rate } from '../../lib/shaping/bucket.ts'

const bits = (doc: string) => optional(integer({ min: 0, doc }))

/** Rates are in bits per second, bursts in bits. */
const rates = {
  ingressRate: bits('what the pod may receive; 0: no limit'),
  ingressBurst: bits('what it may receive at once after a rest'),
  egressRate: bits('what the pod may send; 0: no limit'),
  egressBurst: bits('what it may send at once after a rest'),
}

export const netconfSchema = object({ ...rates, runtimeConfig: object({ bandwidth: object(rates) }) })

type Rates = Omit<Infer<typeof netconfSchema>, 'runtimeConfig'>

export interface BandwidthNetconf {
  /** Undefined for no limit. */
  readonly ingress: Rate | undefined
  readonly egress: Rate | undefined
}

/** A burst is a number of bytes below 2^32. */
const BURST_END_BITS = 8 * (2 ** 32 - 1)

/**
 * What is in the config itself counts, not what the runtime adds: one key there is enough, even if it is 0.
 *
 * @throws CniError 7 for wrong types, a rate without a burst, and the other way round
 */
export function parseNetconf(request: Request): BandwidthNetconf {
  const { runtimeConfig, ...own } = decode(netconfSchema, request.netconf)
  const chosen: Rates = Object.values(own).some((value) => value !== undefined)
    ? own
    : runtimeConfig.bandwidth
  return {
    ingress: rateOf(chosen.ingressRate, chosen.ingressBurst, 'ingress'),
    egress: rateOf(chosen.egressRate, chosen.egressBurst, 'egress'),
  }
}

function rateOf(bitsPerSecond = 0, burstBits = 0, direction: string): Rate | undefined {
  const invalid = (message: string) =>
    new CniError(CNI_CODE.invalidNetconf, message, {
      details: `${direction}Rate is ${bitsPerSecond}, ${direction}Burst ${burstBits}`,
    })
  if (burstBits === 0 && bitsPerSecond !== 0) throw invalid('if rate is set, burst must also be set')
  if (bitsPerSecond === 0 && burstBits !== 0) throw invalid('if burst is set, rate must also be set')
  if (burstBits >= BURST_END_BITS) throw invalid('burst cannot be more than 4GB')
  return bitsPerSecond === 0 ? undefined : { bitsPerSecond, burstBits }
}
