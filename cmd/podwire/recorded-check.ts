// CHECK without a runtime: what that would pass on, the result of ADD and the configuration, is made up of what is
// recorded. Configuration of the node is used where there is one of the network's name.

import { DriftError } from '../../lib/attach/drift.ts'
import { CNI_CODE, CniError } from '../../lib/cni/errors.ts'
import type { Plugin } from '../../lib/cni/plugin.ts'
import type { Request } from '../../lib/cni/request.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { RECORDED_VERSION, recordedRequest } from '../../lib/host/recorded-request.ts'
import type { Attachment } from '../../lib/state/attachments.ts'
import type { Attached } from './attached.ts'
import { type NetworkConfig, typeOf } from './cni-config.ts'
import { recordFields } from './record-fields.ts'

export interface Checking {
  readonly ports: Ports
  readonly findPlugin: (type: string) => Plugin<Ports> | undefined
  /** Of the node. */
  readonly configs: readonly NetworkConfig[]
  /** Where plugins of others are found: as CNI_PATH. */
  readonly path: readonly string[]
}

export interface Checked {
  readonly attached: Attached
  /** A text for each difference. */
  readonly drifts: readonly string[]
  /** Why one of its plugins could not be asked. */
  readonly unknown: readonly string[]
}

export async function checkAttached(checking: Checking, attached: Attached): Promise<Checked> {
  if (attached.state === 'gone') {
    return {
      attached,
      drifts: [`network namespace ${attached.netns} is gone; podwire gc removes what is left`],
      unknown: [],
    }
  }
  const drifts: string[] = attached.state === 'incomplete' ? ['an ADD is at it, or was killed'] : []
  const unknown: string[] = []
  for (const attachment of attached.attachments) {
    const found = await checkOne(checking, attached, attachment)
    drifts.push(...found.drifts)
    unknown.push(...found.unknown)
  }
  return { attached, drifts, unknown }
}

async function checkOne(
  checking: Checking,
  attached: Attached,
  attachment: Attachment,
): Promise<Pick<Checked, 'drifts' | 'unknown'>> {
  const plugin = checking.findPlugin(attachment.plugin)
  if (plugin === undefined) return { drifts: [], unknown: [`there is no plugin ${attachment.plugin} here`] }
  try {
    await plugin.check(checking.ports, checkRequest(checking, attached, attachment))
    return { drifts: [], unknown: [] }
  } catch (error) {
    if (error instanceof DriftError) return { drifts: error.drifts, unknown: [] }
    const text = `${plugin.name}: ${error instanceof Error ? error.message : String(error)}`
    const isOurs = error instanceof CniError && error.code === CNI_CODE.invalidNetconf
    return isOurs ? { drifts: [], unknown: [text] } : { drifts: [text], unknown: [] }
  }
}

function checkRequest(checking: Checking, attached: Attached, attachment: Attachment): Request {
  const request = recordedRequest('CHECK', attachment, checking.path)
  const { ipam } = recordFields(attachment.record)
  const netconf = {
    type: attachment.plugin,
    ...configOf(checking, attachment),
    ...(ipam === undefined ? {} : { ipam }),
    cniVersion: RECORDED_VERSION,
    name: attachment.network,
  }
  const prevResult = resultOf(attached)
  return { ...request, netconf, stdin: JSON.stringify({ ...netconf, prevResult }), prevResult }
}

/** The plugin's part of the network's configuration. */
function configOf({ configs, findPlugin }: Checking, { network, plugin }: Attachment): object {
  const config = configs.find(({ name }) => name === network)
  return config?.plugins.find((one) => findPlugin(typeOf(one))?.name === plugin) ?? {}
}

/** What ADD answered, as far as it can be told from the records. */
function resultOf({ fields, pod, ifname, netns }: Attached): Result {
  const { bridge, hostIfname, hostMac, ips, routes } = fields
  const { mac } = pod
  const interfaces = [
    ...(bridge === undefined ? [] : [{ name: bridge }]),
    ...(hostIfname === undefined
      ? []
      : [{ name: hostIfname, ...(hostMac === undefined ? {} : { mac: hostMac }) }]),
    { name: ifname, sandbox: netns, ...(mac === undefined ? {} : { mac }) },
  ]
  return {
    interfaces,
    ips: ips.map((ip) => ({ ...ip, interface: interfaces.length - 1 })),
    routes: [...routes],
  }
}
