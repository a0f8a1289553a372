// Fields of a network config as data: one description gives the decoder, the static type and the field reference.
//
// Reads as Go's encoding/json does, because runtimes rely on it: keys match in any case (containerd's go-cni sends
// `HostPort`), null is the same as absent, an absent field has its zero value unless it has a default, unknown keys
// are ignored. Of keys that differ only in case the exact one wins, else the last.

import { CNI_CODE, CniError } from './errors.ts'

/** What is known of a field without a value; walked by schema-fields.ts. */
export interface Shape {
  readonly kind: 'string' | 'integer' | 'boolean' | 'list' | 'map' | 'object' | 'json'
  /** What the field does, in a line of the reference; '' for an object that only holds others. */
  readonly doc: string
  /** Of a string the only values; beside another kind, words that are taken, too. */
  readonly values?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** Of a list or map. */
  readonly item?: Schema<unknown>
  /** Of an object. */
  readonly fields?: Fields
  /** Other names of the field, read when the field itself is not there. */
  readonly aliases?: readonly string[]
}

export interface Schema<T> {
  readonly shape: Shape
  /** @param value  anything, undefined for a key that is not there */
  read(value: unknown, path: string): T
}

export type Fields = Readonly<Record<string, Schema<unknown>>>
export type Infer<S> = S extends Schema<infer T> ? T : never
type InferFields<F extends Fields> = { readonly [K in keyof F]: Infer<F[K]> }

interface Options<T> {
  readonly doc?: string
  readonly default?: T
}

/**
 * Reads a value of unknown origin.
 *
 * @param path  where the value is, for messages
 * @throws CniError 7 naming the path of the first field that is wrong: `ipam.ranges[0][1].subnet: expected a string, got a number`
 */
export function decode<T>(schema: Schema<T>, value: unknown, path = ''): T {
  return schema.read(value, path)
}

export function string(options: Options<string> & { pattern?: RegExp } = {}): Schema<string> {
  const { pattern } = options
  return fromPresent(shapeOf('string', options), options.default ?? '', (value, path) => {
    const text = requireString(value, path)
    if (pattern !== undefined && !pattern.test(text))
      throw mismatch(path, `a string like ${pattern}`, show(text))
    return text
  })
}

/** One of a few strings; '' is the default, as it is wherever upstream has such a field. */
export function choice<const V extends string>(
  values: readonly V[],
  options: { doc?: string; default: V },
): Schema<V> {
  return fromPresent({ ...shapeOf('string', options), values }, options.default, (value, path) => {
    const text = requireString(value, path)
    if (text === '') return options.default
    const chosen = values.find((one) => one === text)
    if (chosen === undefined) throw mismatch(path, `one of ${values.map(show).join(', ')}`, show(text))
    return chosen
  })
}

/** Whole numbers; without `min` and `max` those that a JavaScript number holds exactly. */
export function integer(options: Options<number> & { min?: number; max?: number } = {}): Schema<number> {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = options
  const limits = {
    ...(options.min === undefined ? {} : { min }),
    ...(options.max === undefined ? {} : { max }),
  }
  return fromPresent({ ...shapeOf('integer', options), ...limits }, options.default ?? 0, (value, path) => {
    if (typeof value !== 'number') throw mismatch(path, 'an integer', typeName(value))
    if (!Number.isInteger(value)) throw mismatch(path, 'an integer', show(value))
    if (value < min) throw mismatch(path, `at least ${min}`, show(value))
    if (value > max) throw mismatch(path, `at most ${max}`, show(value))
    return value
  })
}

export function boolean(options: Options<boolean> = {}): Schema<boolean> {
  return fromPresent(shapeOf('boolean', options), options.default ?? false, (value, path) => {
    if (typeof value !== 'boolean') throw mismatch(path, 'a boolean', typeName(value))
    return value
  })
}

/** An absent list is empty; where that makes a difference use `optional`. */
export function list<T>(item: Schema<T>, options: { doc?: string } = {}): Schema<readonly T[]> {
  return fromPresent<readonly T[]>({ ...shapeOf('list', options), item }, [], (value, path) => {
    if (!Array.isArray(value)) throw mismatch(path, 'a list', typeName(value))
    return value.map((one, index) => item.read(one, `${path}[${index}]`))
  })
}

/** An object whose keys are the caller's own, in their own case. */
export function map<T>(item: Schema<T>, options: { doc?: string } = {}): Schema<Readonly<Record<string, T>>> {
  return fromPresent<Readonly<Record<string, T>>>({ ...shapeOf('map', options), item }, {}, (value, path) => {
    const entries = Object.entries(requireObject(value, path))
    return Object.fromEntries(entries.map(([key, one]) => [key, item.read(one, `${path}[${show(key)}]`)]))
  })
}

/** Anything, as it is; undefined when absent. */
export function json(options: { doc?: string } = {}): Schema<unknown> {
  return fromPresent<unknown>(shapeOf('json', options), undefined, (value) => value)
}

/** An absent object is one in which every field is absent; where that makes a difference use `optional`. */
export function object<F extends Fields>(fields: F, options: { doc?: string } = {}): Schema<InferFields<F>> {
  const entries = Object.entries(fields)
  let index: KeyIndex | undefined
  return {
    shape: { ...shapeOf('object', options), fields },
    read(value, path) {
      index ??= indexKeys(fields)
      const given = isAbsent(value) ? undefined : pickFields(index, requireObject(value, path))
      const start = path === '' ? '' : `${path}.`
      const read: Record<string, unknown> = {}
      for (const [name, field] of entries) read[name] = field.read(given?.get(name)?.value, start + name)
      return read as InferFields<F>
    },
  }
}

/** Undefined instead of the zero value when absent. */
export function optional<T>(inner: Schema<T>): Schema<T | undefined> {
  return fromPresent<T | undefined>(inner.shape, undefined, (value, path) => inner.read(value, path))
}

/**
 * Tells, for the reference, what is checked later, in words of its own: upstream's where clients look for them.
 * A test holds the plugins to it (cmd/podwire/references.test.ts).
 */
export function checkedLater<T>(inner: Schema<T>, limits: Pick<Shape, 'values' | 'min' | 'max'>): Schema<T> {
  return { ...inner, shape: { ...inner.shape, ...limits } }
}

/** Tells absent (undefined) and null apart. */
export function nullable<T>(inner: Schema<T>): Schema<T | null | undefined> {
  return {
    shape: inner.shape,
    read: (value, path) => (isAbsent(value) ? value : inner.read(value, path)),
  }
}

/** Also read under other names when it is not there under its own. */
export function alias<T>(inner: Schema<T>, ...aliases: readonly string[]): Schema<T> {
  return { ...inner, shape: { ...inner.shape, aliases } }
}

/**
 * A value that is made of another: an address of a string, say. Undefined when absent, and for the empty string.
 *
 * @param parse  may throw anything; what is not a CniError becomes one of code 7 that names the path
 */
export function parsed<S, T>(inner: Schema<S>, parse: (value: S, path: string) => T): Schema<T | undefined> {
  return fromPresent<T | undefined>(inner.shape, undefined, (value, path) => {
    if (value === '') return undefined
    const raw = inner.read(value, path)
    try {
      return parse(raw, path)
    } catch (cause) {
      if (cause instanceof CniError) throw cause
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new CniError(CNI_CODE.invalidNetconf, `${path}: ${why}`, { cause })
    }
  })
}

/** One key of an object, in any case; undefined when it is not there. */
export function findField(value: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(value, name)) return value[name]
  const folded = name.toLowerCase()
  const key = Object.keys(value).findLast((one) => one.toLowerCase() === folded)
  return key === undefined ? undefined : value[key]
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `a string`, `a list`: for messages. */
export function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

type KeyIndex = ReadonlyMap<string, { readonly field: string; readonly isAlias: boolean }>

/** A value and how well its key matched: 0 exactly, 1 but for the case, 2 as an alias. */
interface Given {
  readonly rank: number
  readonly value: unknown
}

function indexKeys(fields: Fields): KeyIndex {
  const index = new Map<string, { field: string; isAlias: boolean }>()
  for (const [field, { shape }] of Object.entries(fields)) {
    index.set(field.toLowerCase(), { field, isAlias: false })
    for (const name of shape.aliases ?? []) index.set(name.toLowerCase(), { field, isAlias: true })
  }
  return index
}

function pickFields(index: KeyIndex, object: Readonly<Record<string, unknown>>): Map<string, Given> {
  const picked = new Map<string, Given>()
  for (const [key, value] of Object.entries(object)) {
    const target = index.get(key.toLowerCase())
    if (target === undefined) continue
    const rank = target.isAlias ? 2 : key === target.field ? 0 : 1
    const earlier = picked.get(target.field)
    if (earlier === undefined || rank <= earlier.rank) picked.set(target.field, { rank, value })
  }
  return picked
}

function fromPresent<T>(shape: Shape, absent: T, read: (value: unknown, path: string) => T): Schema<T> {
  return { shape, read: (value, path) => (isAbsent(value) ? absent : read(value, path)) }
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

function shapeOf(kind: Shape['kind'], options: { readonly doc?: string }): Shape {
  return { kind, doc: options.doc ?? '' }
}

function requireString(value: unknown, path: string): string {
  if (typeof value !== 'string') throw mismatch(path, 'a string', typeName(value))
  return value
}

function requireObject(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw mismatch(path, 'an object', typeName(value))
  return value
}

function mismatch(path: string, expected: string, got: string): CniError {
  return new CniError(
    CNI_CODE.invalidNetconf,
    `${path || 'network config'}: expected ${expected}, got ${got}`,
  )
}

/** A value in a message, cut where it gets long. */
function show(value: string | number): string {
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
