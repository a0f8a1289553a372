// What `cni-proxy-arp` does for a pod: one sysctl of the node's end of its wire.

import type { ChainedPlugin } from '../../lib/attach/chained.ts'
import { differences } from '../../lib/attach/drift.ts'
import { getHostEnd } from '../../lib/attach/prev-result.ts'
import { inPodNamespace } from '../../lib/host/pod-namespace.ts'
import { parseNetconf } from './netconf.ts'

/** Plain JSON: it is kept until DEL, and may be read by a later version of this plugin. */
interface ProxyArpRecord {
  readonly hostIfname: string
  /** Tells the wire from a later one of the same name. */
  readonly hostMac: string
  readonly before: string
}

const ON = '1'
const keyOf = ({ hostIfname }: Pick<ProxyArpRecord, 'hostIfname'>) => `ipv4/conf/${hostIfname}/proxy_arp`

export const proxyArp: ChainedPlugin<ProxyArpRecord> = {
  plugin: 'cni-proxy-arp',

  async plan({ kernel }, request, result) {
    if (!parseNetconf(request).proxyArp) return undefined
    const { name: hostIfname, mac = '' } = await inPodNamespace(kernel, request, (pod) =>
      getHostEnd(kernel, { request, pod, result }),
    )
    const before = kernel.host.sysctl.find(keyOf({ hostIfname })) ?? ''
    return { hostIfname, hostMac: mac, before }
  },

  async make({ kernel }, _, { record, prevResult }) {
    kernel.host.sysctl.set({ key: keyOf(record), value: ON })
    return prevResult
  },

  async compare({ kernel }, _, { record }) {
    const now = kernel.host.sysctl.find(keyOf(record))
    return differences(`host interface ${record.hostIfname}`, [['proxy_arp', ON, now]])
  },

  async takeBack({ kernel }, _, record) {
    const wire = await kernel.host.rtnl.findLink(record.hostIfname)
    const isStillOurs = wire?.mac === record.hostMac && kernel.host.sysctl.find(keyOf(record)) === ON
    if (isStillOurs) kernel.host.sysctl.set({ key: keyOf(record), value: record.before, optional: true })
  },
}
