// What ADD prints, for every version of the spec and every mix of families.

import type { Case } from '../harness/case.ts'
import type { Config } from '../harness/plugin.ts'

/** What a case is to be when upstream 1.1.1 does not know the version. */
function known(cniVersion: string): Pick<Case, 'oursOnly'> {
  return cniVersion === '1.1.0' ? { oursOnly: 'upstream 1.1.1 knows no 1.1.0' } : {}
}

const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']

const FAMILIES: Readonly<Record<string, Config>> = {
  IPv4: { subnet: '10.1.0.0/24', routes: [{ dst: '10.9.0.0/16', gw: '10.1.0.9' }] },
  IPv6: { ranges: [[{ subnet: 'fd00:1::/64' }]], routes: [{ dst: 'fd00:9::/48', gw: 'fd00:1::9' }] },
  'both families': {
    ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]],
    routes: [{ dst: 'fd00:9::/48' }],
  },
}

const bridgeCases = VERSIONS.flatMap((cniVersion) =>
  Object.entries(FAMILIES).map(
    ([families, ipam]): Case => ({
      title: `bridge prints a result of ${cniVersion} when the pod has ${families}`,
      ...known(cniVersion),
      async play(stage) {
        const pod = await stage.addPod()
        const config = stage.bridgeConfig({ cniVersion, isDefaultGateway: true, ipam: stage.ipam(ipam) })
        await stage.add(pod, config)
        await stage.del(pod, config)
      },
    }),
  ),
)

const linkOnlyCases = VERSIONS.map(
  (cniVersion): Case => ({
    title: `bridge prints a result of ${cniVersion} when there is no ipam`,
    ...known(cniVersion),
    async play(stage) {
      const pod = await stage.addPod()
      const config = stage.bridgeConfig({ cniVersion, ipam: undefined })
      await stage.add(pod, config)
      await stage.del(pod, config)
    },
  }),
)

const hostLocalCases = VERSIONS.map(
  (cniVersion): Case => ({
    title: `host-local prints an abbreviated result of ${cniVersion} when it is called by itself`,
    ...known(cniVersion),
    async play(stage) {
      const pod = await stage.addPod()
      const type = stage.node.contestant.hostLocal
      const config = { cniVersion, name: 'net', type: 'any', ipam: stage.ipam(FAMILIES['both families']) }
      await stage.add(pod, config, { type })
      await stage.del(pod, config, { type })
    },
  }),
)

const versionCases = ['bridge', 'host-local'].flatMap((plugin): Case[] => [
  {
    title: `${plugin} lists the versions of the spec when VERSION is called with nothing else`,
    async play(stage) {
      const { contestant } = stage.node
      const type = plugin === 'bridge' ? contestant.bridge : contestant.hostLocal
      const alone = {
        CNI_CONTAINERID: undefined,
        CNI_NETNS: undefined,
        CNI_IFNAME: undefined,
        CNI_PATH: undefined,
      }
      await stage.call('VERSION', undefined, '', { type, environment: alone })
    },
  },
  {
    title: `${plugin} lists the versions of the spec when VERSION is called as libcni does`,
    async play(stage) {
      const { contestant } = stage.node
      const type = plugin === 'bridge' ? contestant.bridge : contestant.hostLocal
      const environment = { CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy', CNI_PATH: 'dummy' }
      await stage.call('VERSION', undefined, { cniVersion: '0.4.0' }, { type, environment })
    },
  },
])

const unsaidCases: readonly Case[] = [
  {
    title: 'bridge prints a result of 0.1.0 when the config has no cniVersion',
    async play(stage) {
      const pod = await stage.addPod()
      const config = stage.bridgeConfig({ cniVersion: undefined })
      await stage.add(pod, config)
      await stage.del(pod, config)
    },
  },
  {
    title: 'bridge says on stderr what it is when CNI_COMMAND is empty, whatever else is wrong',
    async play(stage) {
      await stage.call('', undefined, '{', { environment: { CNI_IFNAME: '..' }, as: 'no command' })
    },
  },
]

export const resultFormatCases = [
  ...bridgeCases,
  ...linkOnlyCases,
  ...hostLocalCases,
  ...versionCases,
  ...unsaidCases,
]
