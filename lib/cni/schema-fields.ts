// Walks a schema: the field reference in the documentation is written from this.

import type { Schema, Shape } from './schema.ts'

export interface FieldDoc {
  /** `ipam.ranges[][].subnet`; `sysctl.*` for the values of a map. */
  readonly path: string
  /** `string`, `integer 0..4094`, `"bridge" | "private"`, `list of string`. */
  readonly type: string
  /** As JSON; '' for none. */
  readonly default: string
  readonly doc: string
}

/** Every field below a schema, each before those inside it, in the order in which they were written down. */
export function listFields(schema: Schema<unknown>, path = ''): FieldDoc[] {
  const { fields, item, kind } = schema.shape
  if (item !== undefined) return listFields(item, `${path}${kind === 'list' ? '[]' : '.*'}`)
  return Object.entries(fields ?? {}).flatMap(([name, field]) => {
    const fieldPath = path === '' ? name : `${path}.${name}`
    return [describeField(fieldPath, field.shape), ...listFields(field, fieldPath)]
  })
}

function describeField(path: string, shape: Shape): FieldDoc {
  const preset = shape.default === undefined ? '' : JSON.stringify(shape.default)
  return { path, type: describeType(shape), default: preset, doc: shape.doc }
}

function describeType({ kind, values, item, min, max }: Shape): string {
  if (values !== undefined) return values.map((one) => JSON.stringify(one)).join(' | ')
  if (item !== undefined) return `${kind} of ${describeType(item.shape)}`
  if (min === undefined && max === undefined) return kind
  return `${kind} ${min ?? ''}..${max ?? ''}`
}
