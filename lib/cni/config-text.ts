// From the text on stdin to the parts of a config that decide whether a plugin runs at all: name and version.

import { NAME_PATTERN } from './environment.ts'
import { CNI_CODE, CniError } from './errors.ts'
import { type Config, keepConfig, knownConfig } from './per-config.ts'
import { findField, isObject, typeName } from './schema.ts'
import { DEFAULT_VERSION } from './versions.ts'

/** Longest config, in characters. A reader of stdin may stop after this many bytes and one. */
export const MAX_CONFIG_LENGTH = 8 * 1024 * 1024

/** Deepest nesting. Configs have about ten levels; V8's own recursion ends at some thousands. */
const MAX_DEPTH = 500

/** What runtimes put into a config for one pod: the text will not come again. */
const OF_ONE_POD = ['prevResult', 'runtimeConfig']

/** @throws CniError 6 when the text is not one JSON object of sane size */
export function parseConfigText(text: string): Config {
  const known = knownConfig(text)
  if (known !== undefined) return known
  const config = readConfig(text)
  if (!OF_ONE_POD.some((key) => findField(config, key) !== undefined)) keepConfig(text, config)
  return config
}

function readConfig(text: string): Config {
  if (text.length > MAX_CONFIG_LENGTH) throw undecodable(`longer than ${MAX_CONFIG_LENGTH} characters`)
  if (isDeeperThan(text, MAX_DEPTH)) throw undecodable(`nested deeper than ${MAX_DEPTH} levels`)
  const value = parseJson(text)
  if (!isObject(value)) throw undecodable(`expected an object, got ${typeName(value)}`)
  return value
}

/**
 * @throws CniError 7 when there is no name or it is invalid; 6, as upstream, when it is not a string
 */
export function networkName(netconf: Readonly<Record<string, unknown>>): string {
  const name = findField(netconf, 'name') ?? ''
  if (typeof name !== 'string') throw undecodable(`name: expected a string, got ${typeName(name)}`)
  if (name === '') throw new CniError(CNI_CODE.invalidNetconf, 'missing network name')
  if (!NAME_PATTERN.test(name)) {
    throw new CniError(CNI_CODE.invalidNetconf, 'invalid characters found in network name', { details: name })
  }
  return name
}

/**
 * The version as written, known or not.
 *
 * @throws CniError 6, as upstream, where a field of the plugin's own would be 7: without it nothing can be decoded
 */
export function configVersion(netconf: Readonly<Record<string, unknown>>): string {
  const version = findField(netconf, 'cniVersion') ?? ''
  if (typeof version === 'string') return version === '' ? DEFAULT_VERSION : version
  const message = `decoding version from network config: cniVersion: expected a string, got ${typeName(version)}`
  throw new CniError(CNI_CODE.decodingFailure, message)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    if (cause instanceof SyntaxError) throw undecodable(cause.message)
    throw cause
  }
}

/** Counts brackets outside strings; a text too short to be that deep is not looked at. */
function isDeeperThan(text: string, limit: number): boolean {
  if (text.length <= limit) return false
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') inString = !inString
    else if (inString) at += character === '\\' ? 1 : 0
    else if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
    if (depth > limit) return true
  }
  return false
}

/** The words, spelling included, that upstream begins with. */
function undecodable(why: string): CniError {
  return new CniError(CNI_CODE.decodingFailure, `error unmarshall network config: ${why}`)
}
