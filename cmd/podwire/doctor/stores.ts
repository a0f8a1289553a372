// What is kept on disk: records of attachments, and leases.

import { basename, join } from 'node:path'
import { ATTACHMENTS_FILE } from '../../../lib/host/open-ports.ts'
import { IpAddress } from '../../../lib/ip/address.ts'
import { DEFAULT_DATA_DIR } from '../../../lib/ipam/lease-store.ts'
import { fullPodName } from '../../../lib/log/full-pod-name.ts'
import { StoreError } from '../../../lib/state/store-error.ts'
import { dataDirOf, listDataDirs } from '../data-dirs.ts'
import { freeOf, isNearlyFull, listPools, percentOf } from '../pools.ts'
import {
  configuredPlugins,
  type Examination,
  type Finding,
  ok,
  orOk,
  type Patient,
  trouble,
  warning,
} from './examination.ts'

const GROUP_OR_OTHER_WRITE = 0o022

const attachments: Examination = {
  title: 'records of attachments',
  examine: (patient) => {
    const { ports, stateDir, disk } = patient
    if (disk.stat(join(stateDir, ATTACHMENTS_FILE)) === undefined)
      return orOk(
        findLooseDirectory(patient, stateDir),
        `${stateDir} has none: the first ADD makes the store`,
      )
    const failure = findFailure(() => ports.attachments.probe())
    if (failure !== undefined) return [failure]
    const findings = [...findLooseDirectory(patient, stateDir), ...findDamaged(patient, stateDir)]
    const link = disk.readlink(stateDir)
    return orOk(findings, `${stateDir}${link === undefined ? '' : ` → ${link}`}: can be written`)
  },
}

function findFailure(probe: () => void): Finding | undefined {
  try {
    probe()
    return undefined
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    return trouble(error.message, error.remedy)
  }
}

/** Who can write there can have the node do as he likes. */
function findLooseDirectory({ disk }: Patient, directory: string): Finding[] {
  const found = disk.stat(directory)
  if (found === undefined || (found.uid === 0 && (found.mode & GROUP_OR_OTHER_WRITE) === 0)) return []
  const mode = (found.mode & 0o777).toString(8)
  return [
    trouble(
      `${directory} belongs to user ${found.uid} and has mode ${mode}: others than root can change what is recorded`,
      `chown root:root ${directory}; chmod 700 ${directory}`,
    ),
  ]
}

function findDamaged({ disk }: Patient, directory: string): Finding[] {
  return disk
    .list(directory)
    .filter((name) => name.endsWith('.db.damaged'))
    .map((name) =>
      warning(
        `${join(directory, name)} was damaged in an earlier boot, and set aside`,
        'look at the disk (kernel log, smartctl); then remove the file',
      ),
    )
}

const leases: Examination = {
  title: 'leases',
  examine: (patient) => {
    const directories = dataDirsOf(patient)
    const findings = directories.flatMap((directory) => [
      ...[findFailure(() => patient.ports.leases(directory).probe())].filter((one) => one !== undefined),
      ...findDamaged(patient, directory),
    ])
    return orOk(findings, directories.length === 0 ? 'none yet' : `${directories.join(', ')}: can be written`)
  },
}

function dataDirsOf(patient: Patient): string[] {
  return listDataDirs(patient.ports, configuredDataDirs(patient))
}

function configuredDataDirs(patient: Patient): string[] {
  return configuredPlugins(patient).flatMap(({ netconf }) => dataDirOf(netconf))
}

const pools: Examination = {
  title: 'free addresses',
  examine: (patient) => {
    const all = listPools(patient.ports, configuredDataDirs(patient))
    const findings = all.filter(isNearlyFull).map((pool) => {
      const { network, range, used, total, oldest } = pool
      const who = oldest?.podName
        ? fullPodName(oldest.podNamespace, oldest.podName)
        : (oldest?.containerId ?? 'nobody')
      const evidence = `${used} of ${total} addresses of network ${network} (${range}) are in use, ${who} has one longest`
      const remedy = 'podwire gc --dry-run; podwire list; else a larger range'
      return freeOf(pool) <= 0n ? trouble(evidence, remedy) : warning(evidence, remedy)
    })
    return orOk(
      findings,
      all.map((pool) => `${pool.network} ${pool.range} ${percentOf(pool)}% used`).join(', ') ||
        'none used yet',
    )
  },
}

/** Directories of upstream's host-local: a file for each address. */
const upstreamLeases: Examination = {
  title: 'leases of host-local',
  examine: (patient) => {
    const { disk } = patient
    const ours = new Set(patient.configs.flatMap((config) => ('name' in config ? config.name : [])))
    const directories = [...new Set([DEFAULT_DATA_DIR, ...configuredDataDirs(patient)])].flatMap((parent) =>
      disk
        .list(parent)
        .filter((name) => !name.startsWith('.'))
        .map((name) => join(parent, name)),
    )
    const found = directories.flatMap((directory) => {
      const files = disk.list(directory).filter(isAddress)
      if (files.length === 0) return []
      const empty = files.filter((name) => disk.stat(join(directory, name))?.size === 0)
      return describeUpstream(directory, { files, empty, isConfigured: ours.has(basename(directory)) })
    })
    return orOk(found, 'none')
  },
}

function describeUpstream(
  directory: string,
  {
    files,
    empty,
    isConfigured,
  }: { files: readonly string[]; empty: readonly string[]; isConfigured: boolean },
): Finding[] {
  const count = `${directory} has ${files.length} addresses of upstream's host-local`
  const lost =
    empty.length === 0
      ? []
      : [
          warning(
            `${empty.length} of the files in ${directory} are empty, as a power cut leaves them: ${empty.slice(0, 3).join(', ')}`,
            'host-local never hands these out again; Podwire leaves them out when it takes over',
          ),
        ]
  if (isConfigured) return [ok(`${count}: they are taken over by the next call`), ...lost]
  return [
    warning(
      `${count}, and no configuration has this network`,
      `if no pod of it runs any more: rm -r ${directory}`,
    ),
    ...lost,
  ]
}

function isAddress(name: string): boolean {
  try {
    IpAddress.parse(name)
    return true
  } catch {
    return false // a lock, or the address that was handed out last
  }
}

export const STORES: readonly Examination[] = [attachments, leases, pools, upstreamLeases]
