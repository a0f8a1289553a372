// One case of the fuzzer: an environment and a config, mutated with knowledge of their structure.

import type { Json } from '../harness/flatten.ts'
import { chainedSeeds } from './fuzz-chained.ts'
import {
  type JsonObject,
  KEYS,
  NUMBERS,
  type Places,
  seedConfigs,
  TEXTS,
  VERBS,
  VERSIONS,
} from './fuzz-seeds.ts'
import type { Random } from './random.ts'

export interface FuzzCase {
  readonly plugin: string
  readonly environment: Readonly<Record<string, string>>
  readonly stdin: string
  /** Another pod of the network "net" is there. */
  readonly resident: boolean
}

const HUGE = 100_000

export function generate(random: Random, places: Places): FuzzCase {
  const chained = random.chance(0.3) ? random.pick(chainedSeeds(places)) : undefined
  const config = chained?.config ?? random.pick(seedConfigs(places))
  const verb = random.chance(0.6) ? 'ADD' : random.pick(VERBS)
  if (random.chance(0.3)) config['cniVersion'] = random.pick(VERSIONS)
  const mutations = random.pick([0, 0, 1, 1, 1, 1, 2, 2, 3, 5, 8])
  for (let nth = 0; nth < mutations; nth++) mutateJson(random, config)
  const text = JSON.stringify(config)
  return {
    plugin: chained?.plugin ?? (random.chance(0.65) ? 'cni-bridge' : 'ipam-host-local'),
    environment: environmentOf(random, verb, places),
    stdin: random.chance(0.1) ? mutateText(random, text) : text,
    resident: random.chance(0.5),
  }
}

/** Where in a tree a value hangs. */
interface Place {
  readonly parent: Json[] | JsonObject
  readonly key: string
}

function placesOf(value: Json): Place[] {
  if (value === null || typeof value !== 'object') return []
  const parent = value as Json[] | JsonObject
  return Object.entries(parent).flatMap(([key, inner]) => [{ parent, key }, ...placesOf(inner)])
}

function mutateJson(random: Random, config: JsonObject): void {
  const places = placesOf(config)
  if (places.length === 0) return
  const place = random.pick(places)
  random.pick(MUTATIONS)(random, place)
}

type Mutation = (random: Random, place: Place) => void

const MUTATIONS: readonly Mutation[] = [
  remove,
  (random, place) => set(place, randomValue(random, 2)),
  (random, place) => set(place, sameType(random, get(place))),
  (random, place) => set(place, sameType(random, get(place))),
  (random, place) => set(place, sameType(random, get(place))),
  (_, place) => set(place, [get(place)]),
  (_, place) => set(place, { [place.key]: get(place) }),
  renameInCase,
  addKey,
  addKey,
  repeat,
]

function remove(_: Random, { parent, key }: Place): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else delete parent[key]
}

/** The same key in another case, in place of it or beside it. */
function renameInCase(random: Random, place: Place): void {
  const { parent, key } = place
  if (Array.isArray(parent)) return
  const letters = [...key].map((letter) => (random.chance(0.5) ? letter.toUpperCase() : letter.toLowerCase()))
  const value = get(place)
  if (random.chance(0.7)) delete parent[key]
  define(parent, letters.join(''), random.chance(0.8) ? value : randomValue(random, 1))
}

function addKey(random: Random, place: Place): void {
  const inner = get(place)
  const holder = isRecord(inner) ? inner : Array.isArray(place.parent) ? undefined : place.parent
  if (holder !== undefined) define(holder, random.pick(KEYS), randomValue(random, 2))
}

/** Many of the same in a list. */
function repeat(random: Random, place: Place): void {
  const inner = get(place)
  if (!Array.isArray(inner) || inner.length === 0) return
  const count = random.pick([1, 2, 10, 300])
  const item = random.pick(inner)
  for (let nth = 0; nth < count; nth++) inner.push(structuredClone(item))
}

function get({ parent, key }: Place): Json {
  return (parent as JsonObject)[key] ?? null
}

function set({ parent, key }: Place, value: Json): void {
  define(parent as JsonObject, key, value)
}

/** Also `__proto__`, as JSON.parse does it. */
function define(parent: JsonObject, key: string, value: Json): void {
  Object.defineProperty(parent, key, { value, writable: true, enumerable: true, configurable: true })
}

function isRecord(value: Json): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/** Another value of the same type: it gets further than one of another type. */
function sameType(random: Random, value: Json): Json {
  if (typeof value === 'boolean') return !value
  if (typeof value === 'number') return random.pick(NUMBERS)
  if (typeof value !== 'string') return randomValue(random, 2)
  return random.chance(0.6) ? random.pick(TEXTS) : mutateText(random, value)
}

function randomValue(random: Random, depth: number): Json {
  const kind = random.below(depth > 0 ? 8 : 6)
  if (kind === 0) return null
  if (kind === 1) return random.chance(0.5)
  if (kind === 2) return random.pick(NUMBERS)
  if (kind === 3 && random.chance(0.05))
    return random.pick(['a', '1', '[', 'é', '\n']).repeat(random.below(HUGE))
  if (kind <= 5) return random.pick(TEXTS)
  const items = Array.from({ length: random.below(4) }, () => randomValue(random, depth - 1))
  if (kind === 6) return items
  const record: JsonObject = {}
  for (const item of items) define(record, random.pick(KEYS), item)
  return record
}

const FRAGMENTS = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '\\u',
    '\\ud800',
    '\u0000',
    '\ufeff',
    '//',
    '/* */',
    '1e999',
    '-',
    'NaN',
  ],
  ...[
    '"name":"net",',
    '"name":1,',
    '"ipam":{},',
    '"cniVersion":"0.2.0",',
    '"mtu":1e999,',
    'Infinity',
    '0x10',
    '007',
    'é',
  ],
]

/** Of any text: a piece is cut out, doubled, replaced, or something is put in. */
function mutateText(random: Random, text: string): string {
  const at = random.below(text.length + 1)
  const to = Math.min(text.length, at + random.below(12))
  switch (random.below(7)) {
    case 0:
      return text.slice(0, at)
    case 1:
      return text.slice(0, at) + text.slice(to)
    case 2:
      return text.slice(0, to) + text.slice(at)
    case 3:
      return text.slice(0, at) + String.fromCharCode(random.below(random.pick([128, 65536]))) + text.slice(to)
    case 4:
      return random.chance(0.1) ? '['.repeat(random.below(20_000)) + text : text + text
    default:
      return text.slice(0, at) + random.pick(FRAGMENTS) + text.slice(at)
  }
}

const ARGS = [
  ...[
    'IgnoreUnknown=1',
    'IgnoreUnknown=true',
    'IgnoreUnknown=0',
    'IP=10.1.0.7',
    'IP=10.1.0.1',
    'IP=10.1.0.7,fd00::1',
  ],
  ...[
    'IP=',
    'IP=x',
    'MAC=02:00:00:00:00:12',
    'MAC=',
    'GATEWAY=10.1.0.1',
    'K8S_POD_NAME=a',
    'K8S_POD_NAMESPACE=b',
  ],
  ...['=', ';', '==', 'a', 'a=b=c', '__proto__=1', 'UNKNOWN=1', 'K8S_POD_NAME=é\n'],
]

function environmentOf(random: Random, verb: string, { pod, node }: Places): Record<string, string> {
  const some = Array.from({ length: random.pick([0, 0, 0, 0, 0, 1, 2, 4]) }, () => random.pick(ARGS))
  const args = [...(random.chance(0.5) ? ['IgnoreUnknown=1'] : []), ...some].join(';')
  const environment: Record<string, string> = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: random.chance(0.9) ? 'victim' : 'resident',
    CNI_NETNS: pod,
    CNI_IFNAME: 'eth0',
    CNI_ARGS: args,
    CNI_PATH: '/nowhere',
  }
  while (random.chance(0.2))
    mutateVariable(random, environment, [node, `${pod}x`, '/dev/null', '/', 'relative'])
  return environment
}

function mutateVariable(random: Random, environment: Record<string, string>, paths: readonly string[]): void {
  const key = random.pick([...Object.keys(environment), 'CNI_NETNS_OVERRIDE', 'TRACEPARENT', 'CNI_UNKNOWN'])
  const value = environment[key] ?? ''
  const text = random.pick([
    () => '',
    () => random.pick(TEXTS),
    () => random.pick(paths),
    () => mutateText(random, value),
    () => value.repeat(random.pick([2, 50, 1000])),
    () => random.pick(['1', 'TRUE', 'false']),
  ])()
  // A variable ends at the first NUL, and is not longer than 128 KiB.
  if (random.chance(0.15)) delete environment[key]
  else environment[key] = text.replaceAll('\u0000', '').slice(0, 100_000)
}
