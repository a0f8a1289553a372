// What shaping asks of the kernel, and how its lack is told.

import type { KernelFeature } from '../rtnl/kernel-feature.ts'
import type { Rtnl } from '../rtnl/rtnl.ts'

/** Each with the option that it is built with. */
const NEEDED: readonly (readonly [feature: KernelFeature, option: string, module: string])[] = [
  ['qdisc tbf', 'CONFIG_NET_SCH_TBF', 'sch_tbf'],
  ['qdisc ingress', 'CONFIG_NET_SCH_INGRESS', 'sch_ingress'],
  ['link ifb', 'CONFIG_IFB', 'ifb'],
  ['action mirred', 'CONFIG_NET_ACT_MIRRED', 'act_mirred'],
]

export interface MissingFeature {
  readonly message: string
  readonly remedy: string
}

/** Nothing is changed, but modules may be loaded. A filter's kind (u32) cannot be asked for like this. */
export async function findMissingFeatures(rtnl: Rtnl): Promise<MissingFeature[]> {
  const missing: MissingFeature[] = []
  for (const [feature, option, module] of NEEDED) {
    if (await rtnl.hasFeature(feature)) continue
    missing.push({
      message: `the kernel has no ${feature}`,
      remedy: `limits of bandwidth need a kernel with ${option} (modprobe ${module})`,
    })
  }
  return missing
}
