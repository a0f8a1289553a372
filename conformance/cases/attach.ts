// A pod with everything, for cases about what comes after its ADD.

import type { Namespace } from '../harness/node.ts'
import type { Config } from '../harness/plugin.ts'
import type { Stage } from '../harness/stage.ts'

export const DUAL = { ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]] }

export interface Attached {
  readonly stage: Stage
  readonly pod: Namespace
  readonly config: Config
  /** With what ADD answered as prevResult. */
  readonly withResult: Config
  /** Name of the wire's end on the node. */
  readonly host: string
}

/** Another pod has been on the network before: the bridge and all that stays is found there. */
export async function attach(stage: Stage, fields: Config = {}): Promise<Attached> {
  const config = stage.bridgeConfig({
    isDefaultGateway: true,
    ipMasq: true,
    hairpinMode: true,
    ipam: stage.ipam(DUAL),
    ...fields,
  })
  const [earlier, pod] = [await stage.addPod('pod0'), await stage.addPod('pod1')]
  await stage.add(earlier, config, { quiet: true })
  await stage.del(earlier, config)
  await stage.settle()
  const { json } = await stage.add(pod, config, { quiet: true })
  const { interfaces = [] } = (json ?? {}) as { interfaces?: { name: string }[] }
  return { stage, pod, config, withResult: { ...config, prevResult: json }, host: interfaces[1]?.name ?? '' }
}
