// What people are told of a plugin's config: its schema, and beside it what a schema cannot say. The pages of
// docs/reference and `podwire explain` are both made of this.

import type { Schema } from './schema.ts'
import { type FieldDoc, listFields } from './schema-fields.ts'

export interface FieldNote {
  /** True, or when: `with egressRate`. */
  readonly required?: true | string
  /** What holds where it is absent and that is no value of its own: `the link of the default route`. */
  readonly absent?: string
  /** What a number counts. */
  readonly unit?: string
  /** What the line in the schema has no room for. */
  readonly more?: string
  /** What is different with upstream's plugin: ABSENT, or in words. */
  readonly upstream?: string
}

export const ABSENT = 'not there'

export interface PluginReference {
  /** Of the plugin, and of the folder that it is in. */
  readonly name: string
  /** After its name: what it is for, in a sentence. */
  readonly summary: string
  /** Paragraphs: what it needs, where it stands in a chain, what goes away when. */
  readonly about: readonly string[]
  readonly schema: Schema<unknown>
  /** By path; a test finds those without a field. */
  readonly notes: Readonly<Record<string, FieldNote>>
  /** Keys of CNI_ARGS that mean something to it. */
  readonly args?: Readonly<Record<string, string>>
  /** The `plugins` of a configuration that works. */
  readonly example: readonly PluginConfig[]
  /** What comes of that, in a sentence or two. */
  readonly outcome: string
}

export type PluginConfig = { readonly type: string } & Readonly<Record<string, unknown>>

export type ReferenceField = FieldDoc & FieldNote

/** Every field of a plugin; an object that only holds others is told by the paths of those. */
export function referenceFields({ schema, notes }: PluginReference): ReferenceField[] {
  const fields = listFields(schema).filter(({ type, doc }) => type !== 'object' || doc !== '')
  return fields.map((field) => ({ ...field, ...notes[field.path] }))
}

/** `integer 0..86400, seconds` */
export function typeText({ type, unit }: ReferenceField): string {
  return unit === undefined ? type : `${type}, ${unit}`
}

/** `required`, `"cni0"`, `the link of the default route`; '' for what is simply not there. */
export function absentText({ required, absent, default: value }: ReferenceField): string {
  if (required !== undefined) return required === true ? 'required' : `required ${required}`
  return absent ?? value
}
