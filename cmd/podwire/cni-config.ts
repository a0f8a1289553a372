// The network configurations of this node, as runtimes read them: the files of a directory in the order of their names,
// of which the first is the cluster's network (libcni's ConfFiles; containerd's and CRI-O's default network).

import { join } from 'node:path'
import { isObject } from '../../lib/cni/schema.ts'
import type { Disk } from './disk.ts'

const ENDINGS = ['.conflist', '.conf', '.json']

export interface NetworkConfig {
  readonly file: string
  /** '' where it says none. */
  readonly name: string
  readonly cniVersion: string
  readonly plugins: readonly Readonly<Record<string, unknown>>[]
  /** All of the file. */
  readonly content: Readonly<Record<string, unknown>>
}

/** A file that runtimes cannot use. */
export interface BrokenConfig {
  readonly file: string
  readonly why: string
}

/** Whether libcni reads files of this name. */
export function isReadByRuntimes(name: string): boolean {
  return ENDINGS.some((ending) => name.endsWith(ending))
}

/** In the order in which runtimes take them. */
export function readConfigs(disk: Disk, directory: string): (NetworkConfig | BrokenConfig)[] {
  return disk
    .list(directory)
    .filter(isReadByRuntimes)
    .map((name) => readConfig(join(directory, name), disk.read(join(directory, name)) ?? ''))
}

export function isBroken(config: NetworkConfig | BrokenConfig): config is BrokenConfig {
  return 'why' in config
}

/** Those that can be read. */
export function usableConfigs(disk: Disk, directory: string): NetworkConfig[] {
  return readConfigs(disk, directory).flatMap((config) => (isBroken(config) ? [] : [config]))
}

export function readConfig(file: string, text: string): NetworkConfig | BrokenConfig {
  try {
    const content: unknown = JSON.parse(text)
    if (!isObject(content)) return { file, why: 'it is no JSON object' }
    const plugins = Array.isArray(content['plugins']) ? content['plugins'].filter(isObject) : [content]
    if (!plugins.some(({ type }) => typeof type === 'string')) return { file, why: 'it names no plugin' }
    return {
      file,
      name: textIn(content, 'name'),
      cniVersion: textIn(content, 'cniVersion'),
      plugins,
      content,
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return { file, why: `it is no JSON: ${error.message}` }
  }
}

export function typeOf(plugin: Readonly<Record<string, unknown>>): string {
  return textIn(plugin, 'type')
}

function textIn(content: Readonly<Record<string, unknown>>, key: string): string {
  const value = content[key]
  return typeof value === 'string' ? value : ''
}
