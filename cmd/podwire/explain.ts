// `podwire explain`: the reference, where there is no browser. As `kubectl explain` for fields of manifests.

import {
  absentText,
  type PluginReference,
  type ReferenceField,
  referenceFields,
  typeText,
} from '../../lib/cni/reference.ts'
import { type About, pluginFinder, UsageError } from './command.ts'
import { formatJson } from './compact-json.ts'
import { ALL_REFERENCES, REFERENCES } from './references.ts'
import { type Style, wrap } from './style.ts'

interface Asked {
  readonly plugin: string | undefined
  readonly field: string | undefined
}

interface Form {
  /** How wide the terminal is; Infinity where there is none. */
  readonly columns: number
  readonly style: Style
}

const MAX_WIDTH = 100

/** @throws UsageError for a plugin or a field that there is not */
export function explain(about: About, { plugin: name, field }: Asked, form: Form): string {
  if (name === undefined) return listPlugins(form.style)
  const own = pluginFinder(about)(name)?.name
  const plugin = ALL_REFERENCES.find((one) => one.name === own)
  if (plugin === undefined)
    throw new UsageError(`no plugin is called "${name}"`, 'podwire explain lists them')
  const fields = referenceFields(plugin)
  if (field === undefined) return describePlugin(plugin, fields, form)
  const found = findFields(fields, field)
  if (found.length === 0) {
    const remedy = `podwire explain ${plugin.name} lists them`
    throw new UsageError(`${plugin.name} has no field "${field}"`, remedy)
  }
  return found.map((one) => describeField(one, form)).join('\n')
}

function listPlugins(style: Style): string {
  const width = Math.max(...ALL_REFERENCES.map(({ name }) => name.length))
  const lines = REFERENCES.flatMap(({ title, plugins }) => [
    style.bold(title),
    ...plugins.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
  ])
  return [...lines, 'podwire explain PLUGIN tells the fields of one.', ''].join('\n')
}

function describePlugin(
  { name, summary, about, args = {}, example, outcome }: PluginReference,
  fields: readonly ReferenceField[],
  form: Form,
): string {
  return [
    ...paragraph(`${name} ${summary}`, form),
    ...about.flatMap((text) => paragraph(withoutLinks(text), form)),
    ...fields.flatMap((field) => [headline(field, form), ...indented(field.doc, form)]),
    ...Object.entries(args).flatMap(([key, text]) => [
      `${form.style.bold(key)}  in CNI_ARGS`,
      ...indented(text, form),
    ]),
    ...(fields.length === 0 ? [] : ['']),
    form.style.bold('An example'),
    formatJson({ cniVersion: '1.0.0', name: 'pods', plugins: example }),
    '',
    ...paragraph(outcome, form),
  ].join('\n')
}

/** By its whole path, by the beginning of it, or by its last name: in any case, as configs are read. */
function findFields(fields: readonly ReferenceField[], asked: string): ReferenceField[] {
  const wanted = plain(asked)
  const inside = fields.filter(({ path }) => `${plain(path)}.`.startsWith(`${wanted}.`))
  return inside.length > 0 ? inside : fields.filter(({ path }) => plain(path).endsWith(`.${wanted}`))
}

function plain(path: string): string {
  return path.replaceAll('[]', '').toLowerCase()
}

function describeField(field: ReferenceField, form: Form): string {
  const { doc, more, upstream } = field
  return [
    headline(field, form),
    ...indented(doc, form),
    ...(more === undefined ? [] : indented(more, form)),
    ...(upstream === undefined ? [] : indented(`In upstream's plugin: ${upstream}`, form)),
    '',
  ].join('\n')
}

/** `bridge  string, else "cni0"` */
function headline(field: ReferenceField, { style }: Form): string {
  const absent = absentText(field)
  const otherwise = absent === '' ? '' : `, ${field.required === undefined ? `else ${absent}` : absent}`
  return `${style.bold(field.path)}  ${typeText(field)}${otherwise}`
}

function paragraph(text: string, { columns }: Form): string[] {
  return [...wrap(text, Math.min(columns, MAX_WIDTH)), '']
}

function indented(text: string, { columns }: Form): string[] {
  return wrap(text, Math.min(columns, MAX_WIDTH) - 2).map((line) => `  ${line}`)
}

/** `([how](../adr/…))` leads nowhere in a terminal. */
function withoutLinks(text: string): string {
  return text.replaceAll(/ \(\[[^\]]*\]\([^)]*\)\)/g, '')
}
