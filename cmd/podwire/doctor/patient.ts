// This node, as the examinations of `podwire doctor` get it.

import { stateDirOf } from '../../../lib/host/state-dir.ts'
import { StoreError } from '../../../lib/state/store-error.ts'
import { type Attached, listAttached } from '../attached.ts'
import { readConfigs } from '../cni-config.ts'
import { type About, pluginFinder } from '../command.ts'
import { socketPathOf } from '../daemon-client.ts'
import { Disk } from '../disk.ts'
import { DEFAULT_BIN_DIR, DEFAULT_CONF_DIR } from '../places.ts'
import type { Patient } from './examination.ts'

export interface Places {
  readonly confDir: string | undefined
  readonly binDir: string | undefined
  readonly socket: string | undefined
}

export async function patientOf(about: About, places: Places, disk = new Disk()): Promise<Patient> {
  const ports = await about.openPorts({ onlyLooks: true })
  const { version, executable, plugins, environment } = about
  const confDir = places.confDir ?? DEFAULT_CONF_DIR
  return {
    ports,
    disk,
    attached: attachedOrNone(() => listAttached(ports)),
    configs: readConfigs(disk, confDir),
    findPlugin: pluginFinder(about),
    plugins,
    version,
    executable,
    stateDir: stateDirOf(environment),
    confDir,
    binDir: places.binDir ?? DEFAULT_BIN_DIR,
    socketPath: socketPathOf(environment, places.socket),
  }
}

/** A store that cannot be read has its own examination. */
function attachedOrNone(list: () => Attached[]): Attached[] {
  try {
    return list()
  } catch (error) {
    if (error instanceof StoreError) return []
    throw error
  }
}
