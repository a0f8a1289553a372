// Whether runtimes find a configuration, and the plugins that it names, and what they find is of this version.

import { basename, dirname, join } from 'node:path'
import { CniError } from '../../../lib/cni/errors.ts'
import type { Plugin } from '../../../lib/cni/plugin.ts'
import { findField, isObject } from '../../../lib/cni/schema.ts'
import { NEWEST_VERSION } from '../../../lib/cni/versions.ts'
import type { Ports } from '../../../lib/host/ports.ts'
import { recordedRequest } from '../../../lib/host/recorded-request.ts'
import { withDelegates } from '../../../lib/host/with-delegates.ts'
import { isBroken, type NetworkConfig } from '../cni-config.ts'
import { askDaemon, type DaemonStatus, LOG_AND_RESTART } from '../daemon-client.ts'
import { pluginPath } from '../places.ts'
import { formatCount } from '../style.ts'
import {
  type ConfiguredPlugin,
  configuredPlugins,
  type Examination,
  type Finding,
  ok,
  orOk,
  type Patient,
  trouble,
  warning,
} from './examination.ts'
import { findMount } from './mounts.ts'

const EXECUTABLE = 'podwire'
const SHIM = 'podwire-shim'
/** As it was installed: a name that led to the shim leads there again. */
const INSTALL = ({ disk, binDir }: Pick<Patient, 'disk' | 'binDir'>) =>
  `podwire install ${binDir}${disk.stat(join(binDir, SHIM)) === undefined ? '' : ' --shim'}`

const configuration: Examination = {
  title: 'network configuration',
  examine: ({ configs, confDir, findPlugin, attached }) => {
    const [first, ...rest] = configs
    if (first === undefined) {
      const remedy = `podwire install DIR --conflist ${confDir}`
      return [warning(`${confDir} has none: no runtime starts pods`, remedy)]
    }
    const broken = configs.filter(isBroken).map(({ file, why }) => {
      const finding = file === first.file ? trouble : warning
      return finding(`${file}: ${why}`, 'correct or remove it')
    })
    if (isBroken(first)) return broken
    const isOurs = first.plugins.some(
      ({ type }) => typeof type === 'string' && findPlugin(type) !== undefined,
    )
    const foreign = isOurs
      ? []
      : [warning(`${first.file}, the first, names no plugin of Podwire`, `remove it, or name ours before it`)]
    const networks = new Set(attached.map(({ network }) => network))
    const others = rest.filter((one) => isBroken(one) || !(networks.has(one.name) || isUsedByName(one)))
    const many =
      others.length === 0
        ? []
        : [
            warning(
              `${first.file} is what runtimes use; ${others.map(({ file }) => basename(file)).join(', ')} ${others.length === 1 ? 'is' : 'are'} there, too`,
              'remove those that are not used',
            ),
          ]
    return orOk([...broken, ...foreign, ...many], `${first.file}, network ${first.name}`)
  },
}

/** podman and nerdctl use every network of theirs. Labels and options, by which podman's can be told, need not be there. */
function isUsedByName({ content, plugins: chain }: NetworkConfig): boolean {
  const args = findField(content, 'args')
  const marks = [...Object.keys(content), ...Object.keys(isObject(args) ? args : {})]
  const isPodmans = ({ bridge }: NetworkConfig['plugins'][number]) =>
    typeof bridge === 'string' && bridge.startsWith('cni-podman')
  return marks.some((key) => /^(?:nerdctl|podman_)/.test(key)) || chain.some(isPodmans)
}

const plugins: Examination = {
  title: 'plugins',
  examine: (patient) => {
    const { disk, binDir } = patient
    const needed = [...new Set(configuredPlugins(patient).flatMap(typesOf))]
    const missing = needed.flatMap((type) => findMissing(patient, type))
    const dangling = disk
      .list(binDir)
      .filter(
        (name) =>
          disk.lstat(join(binDir, name))?.isSymbolicLink() && disk.stat(join(binDir, name)) === undefined,
      )
      .map((name) =>
        warning(
          `${join(binDir, name)} leads to ${disk.readlink(join(binDir, name))}, which is not there`,
          INSTALL(patient),
        ),
      )
    const version = findOtherVersion(patient)
    return orOk(
      [...missing, ...dangling, ...version],
      needed.length === 0 ? binDir : `${binDir}: ${needed.join(', ')}`,
    )
  },
}

function typesOf({ netconf, type }: ConfiguredPlugin): string[] {
  return [type, ipamTypeOf(netconf)].filter((one) => one !== '')
}

/** '' where there is none. */
function ipamTypeOf(netconf: ConfiguredPlugin['netconf']): string {
  const ipam = findField(netconf, 'ipam')
  const type = isObject(ipam) ? findField(ipam, 'type') : undefined
  return typeof type === 'string' ? type : ''
}

const ANY_EXECUTE = 0o111

function findMissing(patient: Patient, type: string): Finding[] {
  const { disk, binDir, executable, findPlugin } = patient
  const places = [...new Set([binDir, ...pluginPath(dirname(executable)).slice(1)])]
  const found = places.map((place) => join(place, type)).find((path) => disk.stat(path)?.isFile())
  if (found === undefined) {
    const remedy =
      findPlugin(type) === undefined
        ? 'install the plugin, or take it out of the configuration'
        : INSTALL(patient)
    return [trouble(`a configuration names ${type}, which is in none of ${places.join(', ')}`, remedy)]
  }
  const isExecutable = ((disk.stat(found)?.mode ?? 0) & ANY_EXECUTE) !== 0
  return isExecutable ? [] : [trouble(`${found} is not executable`, `chmod 755 ${found}`)]
}

/** That which runs is not that which runtimes call. */
function findOtherVersion(patient: Patient): Finding[] {
  const { disk, binDir, executable } = patient
  const installed = disk.stat(join(binDir, EXECUTABLE))
  const own = disk.stat(executable)
  if (installed === undefined || own === undefined || basename(executable) !== EXECUTABLE) return []
  const isOther = installed.ino !== own.ino && installed.size !== own.size
  return isOther
    ? [warning(`${join(binDir, EXECUTABLE)} is another version than ${executable}`, INSTALL(patient))]
    : []
}

const mounts: Examination = {
  title: 'mounts',
  examine: ({ disk, binDir }) => {
    const bin = findMount(disk, binDir)
    const findings: Finding[] = []
    if (bin?.isNoExec)
      findings.push(
        trouble(`${bin.point}, where ${binDir} is, is mounted noexec`, `mount -o remount,exec ${bin.point}`),
      )
    const places = [join(binDir, '.podwire'), '/var/lib/podwire/native', '/run/podwire/native']
    const isUsable = (place: string) => {
      const mount = findMount(disk, place)
      return mount === undefined || (!mount.isNoExec && (!mount.isReadOnly || disk.list(place).length > 0))
    }
    if (!places.some(isUsable)) {
      const what = `${places.join(', ')} are all noexec or read-only: the executable has nowhere to load its addons from`
      findings.push(trouble(what, `make one of them writable for root and executable`))
    }
    const sys = findMount(disk, '/proc/sys/net')
    if (sys?.isReadOnly)
      findings.push(
        trouble(
          `${sys.point} is mounted read-only here: forwarding cannot be switched on`,
          'run where it is writable; in a container: privileged, or a mount of the host’s',
        ),
      )
    return orOk(findings, 'plugins can be executed, addons loaded, sysctls set')
  },
}

const daemon: Examination = {
  title: 'daemon',
  examine: async ({ disk, binDir, socketPath, version }) => {
    const shims = disk
      .list(binDir)
      .filter((name) => basename(disk.readlink(join(binDir, name)) ?? '') === SHIM)
    const found = await askDaemon(socketPath)
    if (found === undefined) {
      if (shims.length === 0) return [ok(`none at ${socketPath}, and none is needed`)]
      return [
        warning(
          `none at ${socketPath}: the shim is installed, and each call is served by a process of its own, which takes longer`,
          'systemctl start podwire, or the pod of its DaemonSet',
        ),
      ]
    }
    const findings = [
      ...leftToCallers(found),
      ...(found.ready ? [] : [trouble(`pid ${found.pid} at ${socketPath} does not serve`, LOG_AND_RESTART)]),
      ...(found.version === version
        ? []
        : [
            warning(
              `pid ${found.pid} is version ${found.version}, this is ${version}`,
              'systemctl restart podwire',
            ),
          ]),
      ...(shims.length > 0
        ? []
        : [
            warning(
              `it runs, and nobody asks it: no plugin in ${binDir} is the shim`,
              `podwire install ${binDir} --shim`,
            ),
          ]),
    ]
    return orOk(findings, `pid ${found.pid} serves ${socketPath}, version ${found.version}`)
  },
}

/** As a store says it (lib/state/store-error.ts): the daemon is older than the executable. */
const NEWER_STORE = ': ENEWER: '

/** Served all the same, by processes of their own. That it is stopping is no reason for alarm. */
function leftToCallers({ leftToCaller }: DaemonStatus): Finding[] {
  return Object.entries(leftToCaller)
    .filter(([why]) => why !== 'the daemon is stopping')
    .map(([why, count]) =>
      warning(
        `it left ${formatCount(count, 'call')} to the shim: ${why}`,
        why.includes(NEWER_STORE)
          ? LOG_AND_RESTART
          : 'run it where the runtime’s paths and network namespace are its own, with the same PODWIRE_STATE_DIR',
      ),
    )
}

/** What STATUS says of the network that runtimes use: whether the next ADD would work. */
const status: Examination = {
  title: 'STATUS',
  examine: async (patient) => {
    const first = patient.configs.find((config) => !isBroken(config))
    if (first === undefined || isBroken(first)) return [ok('there is no network to ask for')]
    const findings: Finding[] = []
    const asked: string[] = []
    const unasked: string[] = []
    for (const { netconf, type } of configuredPlugins({ configs: [first] })) {
      const plugin = patient.findPlugin(type)
      if (plugin?.status === undefined) continue
      asked.push(type)
      const foreign = foreignIpam(patient, { config: first, netconf })
      if (foreign !== undefined) unasked.push(foreign)
      const asking = foreign === undefined ? patient : { ...patient, ports: withoutAsking(patient.ports) }
      findings.push(...(await askStatus(asking, { plugin, config: first, netconf })))
    }
    if (asked.length === 0) return [ok('no plugin of the network is ours')]
    const but = unasked.length === 0 ? '' : `, as far as ${unasked.join(', ')} can, which is not asked`
    return orOk(findings, `${asked.join(', ')}: the next ADD can be served${but}`)
  },
}

/** The IPAM plugin of somebody else, where the network's version is older than STATUS: it may not know the verb. */
function foreignIpam(
  { findPlugin }: Patient,
  { config, netconf }: Pick<ConfiguredPlugin, 'config' | 'netconf'>,
): string | undefined {
  const type = ipamTypeOf(netconf)
  const isForeign = type !== '' && findPlugin(type) === undefined
  return isForeign && config.cniVersion !== NEWEST_VERSION ? type : undefined
}

/** A delegate without the verb is taken for ready. */
function withoutAsking(ports: Ports): Ports {
  return withDelegates(ports, { inProcess: (name) => ({ name }) as Plugin<never> })
}

async function askStatus(
  { ports, executable }: Patient,
  { plugin, config, netconf }: { plugin: Plugin<Ports>; config: NetworkConfig; netconf: object },
): Promise<Finding[]> {
  const owner = { network: config.name, containerId: '', ifname: '', netns: '' }
  // The config's own version may be older than the verb.
  const cniVersion = NEWEST_VERSION
  const own = { ...netconf, cniVersion, name: config.name }
  const request = recordedRequest('STATUS', owner, pluginPath(dirname(executable)))
  try {
    await plugin.status?.(ports, { ...request, cniVersion, netconf: own, stdin: JSON.stringify(own) })
    return []
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    return [trouble(`${plugin.name}: ${error.message} (code ${error.code})`, error.details)]
  }
}

export const INSTALLATION: readonly Examination[] = [configuration, plugins, mounts, daemon, status]
