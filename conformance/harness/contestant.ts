// Whose plugins are run: ours as they were built, or upstream's as Debian has them (containernetworking-plugins).

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

export interface Contestant {
  readonly name: 'podwire' | 'upstream'
  readonly directory: string
  /** Values of `type` in a config. */
  readonly bridge: string
  readonly hostLocal: string
  /** Of a plugin, by its name in upstream's suite. */
  readonly typeOf: (plugin: string) => string
  /** Its plugins ask a daemon, which each node then has. */
  readonly hasDaemon?: true
  /** `network address container/interface`, of all networks below the directory, in order. */
  readonly listLeases: (dataDir: string) => string[]
  /** What the store of attachments still knows. */
  readonly listAttachments: (stateDir: string) => string[]
}

/** A damaged file, as some cases make it, holds nothing. */
const SQLITE_NOTADB = 26

const { PODWIRE_BIN = resolve(import.meta.dirname, '../../dist/bin'), UPSTREAM_BIN = '/usr/lib/cni' } =
  process.env

/** Each directory may hold either's plugins: PODWIRE_BIN=/usr/lib/cni shows what upstream's would make of our tests. */
export const podwire = contestantIn(PODWIRE_BIN)
export const upstream = contestantIn(UPSTREAM_BIN)

function contestantIn(directory: string): Contestant {
  return existsSync(join(directory, 'host-local')) ? upstreamIn(directory) : podwireIn(directory)
}

function podwireIn(directory: string): Contestant {
  return {
    name: 'podwire',
    directory,
    bridge: 'cni-bridge',
    hostLocal: 'ipam-host-local',
    typeOf: (plugin) => (plugin === 'static' ? 'ipam-static' : `cni-${plugin}`),
    listLeases: (dataDir) =>
      query(
        join(dataDir, 'podwire-leases.db'),
        'SELECT network, address, container_id, ifname FROM leases WHERE released_at_ms IS NULL ORDER BY network, family, address',
      ).map(({ network, address, container_id: id, ifname }) => {
        return `${network} ${addressText(address as Uint8Array)} ${id}/${ifname}`
      }),
    listAttachments: (stateDir) =>
      query(
        join(stateDir, 'attachments.db'),
        'SELECT plugin, network, container_id, ifname FROM attachments ORDER BY 1, 2, 3, 4',
      ).map((row) => Object.values(row).join(' ')),
  }
}

function upstreamIn(directory: string): Contestant {
  return {
    name: 'upstream',
    directory,
    bridge: 'bridge',
    hostLocal: 'host-local',
    typeOf: (plugin) => plugin,
    listLeases: (dataDir) =>
      listDirectory(dataDir, { directories: true }).flatMap((network) =>
        listDirectory(join(dataDir, network))
          .filter((file) => file !== 'lock' && !file.startsWith('last_reserved_ip'))
          .map((address) => {
            const holder = readFileSync(join(dataDir, network, address), 'utf8')
              .trim()
              .split(/\s+/)
              .join('/')
            return `${network} ${address} ${holder}`
          }),
      ),
    listAttachments: () => [],
  }
}

function query(file: string, sql: string): Record<string, unknown>[] {
  if (!existsSync(file)) return []
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    return database.prepare(sql).all()
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_NOTADB) return []
    throw error
  } finally {
    database.close()
  }
}

function listDirectory(path: string, { directories = false } = {}): string[] {
  if (!existsSync(path)) return []
  const entries = readdirSync(path, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() === directories,
  )
  return entries.map(({ name }) => name).sort()
}

/** Not shortened as the product does it: an oracle of its own. */
function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const words = Array.from({ length: 8 }, (_, at) =>
    ((bytes[2 * at] ?? 0) * 256 + (bytes[2 * at + 1] ?? 0)).toString(16),
  )
  return new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1)
}
