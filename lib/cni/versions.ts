// Versions of the CNI spec, what each allows, and the answer to the command VERSION.

import { CNI_CODE, CniError } from './errors.ts'

/** Oldest first: the order in which VERSION lists them. */
export const SPEC_VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

export type SpecVersion = (typeof SPEC_VERSIONS)[number]

export const NEWEST_VERSION: SpecVersion = '1.1.0'

/** What a config or a result that names no version has. */
export const DEFAULT_VERSION: SpecVersion = '0.1.0'

/** The commands that came after 0.1.0, and with which version. */
const SINCE: Readonly<Partial<Record<string, SpecVersion>>> = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' }

export function isSpecVersion(text: string): text is SpecVersion {
  return (SPEC_VERSIONS as readonly string[]).includes(text)
}

export function atLeast(version: SpecVersion, floor: SpecVersion): boolean {
  return SPEC_VERSIONS.indexOf(version) >= SPEC_VERSIONS.indexOf(floor)
}

/**
 * The version of a config, when this command may be run with it by a plugin that supports these versions.
 *
 * Upstream asks whether the version allows the command before it asks whether the plugin knows the version at
 * all, and compares unknown versions by number; the same here, so that the same texts come out.
 *
 * @throws CniError 1 when the versions do not fit, 6 when a version to be compared is no version
 */
export function requireVersion(
  command: string,
  configVersion: string,
  supported: readonly SpecVersion[],
): SpecVersion {
  const since = SINCE[command]
  if (since !== undefined) requireCommandAllowed(command, since, { configVersion, supported })
  const version = supported.find((one) => one === configVersion)
  if (version === undefined) throw incompatible('incompatible CNI versions', configVersion, supported)
  return version
}

/** One line of JSON and a newline. `cniVersion` is the newest the library knows, whatever the plugin supports. */
export function encodeVersions(supportedVersions: readonly SpecVersion[]): string {
  return `${JSON.stringify({ cniVersion: NEWEST_VERSION, supportedVersions })}\n`
}

function requireCommandAllowed(
  command: string,
  since: SpecVersion,
  given: { configVersion: string; supported: readonly SpecVersion[] },
): void {
  const { configVersion, supported } = given
  const config = parseVersion(configVersion)
  if (compareNumbers(config, parseVersion(since)) < 0) {
    throw incompatible(`config version does not allow ${command}`, configVersion, supported)
  }
  if (!supported.some((one) => compareNumbers(parseVersion(one), config) >= 0)) {
    throw incompatible(`plugin version does not allow ${command}`, configVersion, supported)
  }
}

function incompatible(message: string, configVersion: string, supported: readonly SpecVersion[]): CniError {
  const list = supported.map((one) => JSON.stringify(one)).join(' ')
  const details = `config is ${JSON.stringify(configVersion)}, plugin supports [${list}]`
  return new CniError(CNI_CODE.incompatibleVersion, message, { details })
}

/** One to three numbers; missing ones are 0, as upstream reads them. */
function parseVersion(text: string): readonly number[] {
  if (!/^[0-9]{1,9}(\.[0-9]{1,9}){0,2}$/.test(text)) {
    throw new CniError(CNI_CODE.decodingFailure, `invalid version ${JSON.stringify(text)} in network config`)
  }
  return text.split('.').map(Number)
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
  for (const index of [0, 1, 2]) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
