// Walks a schema: the field reference in the documentation is written from this.

import type { Schema, Shape } from './schema.ts'

export interface FieldDoc {
  /** `ipam.ranges[][].subnet`; `sysctl.*` for the values of a map. */
  readonly path: string
  /** `string`, `integer 0..4094`, `"bridge" | "private"`, `list of string`. */
  readonly type: string
  /** What is read where it is absent, as JSON; '' for what says nothing: undefined, "", an empty list or object. */
  readonly default: string
  readonly doc: string
}

/** Every field below a schema, each before those inside it, in the order in which they were written down. */
export function listFields(schema: Schema<unknown>, path = ''): FieldDoc[] {
  const { fields, item, kind } = schema.shape
  if (item !== undefined) return listFields(item, `${path}${kind === 'list' ? '[]' : '.*'}`)
  return Object.entries(fields ?? {}).flatMap(([name, field]) => {
    const fieldPath = path === '' ? name : `${path}.${name}`
    return [describeField(fieldPath, field), ...listFields(field, fieldPath)]
  })
}

function describeField(path: string, schema: Schema<unknown>): FieldDoc {
  const { shape } = schema
  return {
    path,
    type: describeType(shape),
    default: describeAbsent(schema.read(undefined, path)),
    doc: shape.doc,
  }
}

function describeAbsent(value: unknown): string {
  if (value === undefined || value === '') return ''
  return typeof value === 'object' ? '' : JSON.stringify(value)
}

function describeType(shape: Shape): string {
  const words = (shape.values ?? []).map((one) => JSON.stringify(one))
  if (shape.kind === 'string' && words.length > 0) return words.join(' | ')
  return [describeKind(shape), ...words].join(' | ')
}

function describeKind({ kind, item, min, max }: Shape): string {
  if (item !== undefined) return `${kind} of ${describeType(item.shape)}`
  if (min === undefined && max === undefined) return kind
  return `${kind} ${min ?? ''}..${max ?? ''}`
}
