// A chain of plugins, called one after the other as a runtime does it: each ADD gets the result of the one before,
// each DEL what the chain answered, the last first.

import type { Json } from '../harness/flatten.ts'
import type { Namespace } from '../harness/node.ts'
import type { Config } from '../harness/plugin.ts'
import type { Answer, Options, Stage } from '../harness/stage.ts'
import { DUAL } from './attach.ts'

export interface Link {
  /** The chained plugin's name with the contestant. */
  readonly type: string
  readonly fields?: Config
}

export interface Chained {
  readonly pod: Namespace
  /** Of the chained plugin, with the bridge's result as prevResult. */
  readonly config: Config
  /** What the bridge answered. */
  readonly result: Json | undefined
  /** Of the bridge. */
  readonly main: Config
  /** What the chained plugin answered. */
  readonly answer: Answer
}

export function chainedConfig(stage: Stage, { type, fields }: Link, prevResult: Json | undefined): Config {
  const { cniVersion, name } = stage.bridgeConfig()
  return { cniVersion, name, type, prevResult, ...fields }
}

/** A pod on the bridge, and then the chained plugin's ADD. */
export async function addChain(
  stage: Stage,
  pod: Namespace,
  link: Link,
  { main: fields = {}, ...options }: Options & { readonly main?: Config } = {},
): Promise<Chained> {
  const main = stage.bridgeConfig({
    isDefaultGateway: true,
    ipMasq: true,
    hairpinMode: true,
    ipam: stage.ipam(DUAL),
    ...fields,
  })
  const { json: result } = await stage.add(pod, main, {
    quiet: true,
    as: `bridge ADD ${pod.label}`,
    ...options,
  })
  const config = chainedConfig(stage, link, result)
  const answer = await stage.add(pod, config, { quiet: true, ...options, type: link.type })
  return { pod, config, result, main, answer }
}

export async function delChain(stage: Stage, { pod, config, main, result }: Chained): Promise<void> {
  await stage.del(pod, config, { type: String(config['type']) })
  await stage.del(pod, { ...main, prevResult: result }, { as: `bridge DEL ${pod.label}` })
}

/** Another pod has been there before: the bridge, and what the plugin keeps for all pods, is found there. */
export async function prepareNode(stage: Stage, link: Link, main: Config = {}): Promise<void> {
  const earlier = await stage.addPod('pod0')
  await delChain(stage, await addChain(stage, earlier, link, { main }))
  await stage.removePod(earlier)
  await stage.settle()
}
