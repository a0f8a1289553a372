// A pod's ADD for tests of the plugin.

import type { Result } from '../../lib/cni/result.ts'
import type { Pod, Scene } from '../../lib/testing/scene.ts'
import { plugin } from './plugin.ts'

export const NETCONF = {
  cniVersion: '1.1.0',
  name: 'net',
  type: 'cni-bridge',
  bridge: 'br0',
  isDefaultGateway: true,
  ipMasq: true,
  macspoofchk: true,
  ipam: { type: 'test-ipam', ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]] },
}

/** An ADD of a pod that works. */
export async function attach(
  scene: Scene,
  netconf: object = NETCONF,
  pod: Partial<Pod> = {},
): Promise<Result> {
  return plugin.add(scene.ports, scene.request('ADD', netconf, pod))
}
