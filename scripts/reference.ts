// `npm run reference`: writes the pages of docs/reference that are about fields, from the schemas by which the plugins
// read their configs and what stands beside those. A test compares (reference.test.ts).

import { rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { formatJson } from '../cmd/podwire/compact-json.ts'
import { ALL_REFERENCES, REFERENCES } from '../cmd/podwire/references.ts'
import { findPlugin, UPSTREAM_NAMES } from '../cmd/podwire/registry.ts'
import { commonFields } from '../lib/cni/netconf.ts'
import {
  absentText,
  type PluginReference,
  type ReferenceField,
  referenceFields,
  typeText,
} from '../lib/cni/reference.ts'
import { object } from '../lib/cni/schema.ts'
import { SPEC_VERSIONS } from '../lib/cni/versions.ts'

export const DIRECTORY = resolve(import.meta.dirname, '../docs/reference')

const GENERATED =
  '<!-- Written by `npm run reference`. Do not edit: the text is in cmd/*/netconf.ts and reference.ts. -->'

/** File name → content. */
export function referencePages(): Map<string, string> {
  const pages = ALL_REFERENCES.map((plugin) => [`${plugin.name}.md`, pluginPage(plugin)] as const)
  return new Map([['README.md', indexPage()], ...pages])
}

function pluginPage(plugin: PluginReference): string {
  const { name, summary, about, example, outcome } = plugin
  const fields = referenceFields(plugin)
  return page([
    GENERATED,
    `# \`${name}\``,
    `\`${name}\` ${marked(summary, fields)}`,
    ...about.map((text) => marked(text, fields)),
    `For configurations of ${versionsText(name)}. In place of upstream's \`${upstreamName(name)}\`, whose configurations it takes. [How configurations are read](README.md#how-a-configuration-is-read).`,
    '## Example',
    `\`\`\`json\n${formatJson({ cniVersion: '1.0.0', name: 'pods', plugins: example })}\n\`\`\``,
    marked(outcome, fields),
    '## Fields',
    fields.length === 0 ? 'None of its own.' : fieldTable(fields),
    ...runtimeSection(plugin, fields),
    ...upstreamSection(plugin, fields),
    `Read by [cmd/${name}](../../cmd/${name}).`,
  ])
}

function fieldTable(fields: readonly ReferenceField[]): string {
  const rows = fields.map((field) => [
    code(field.path),
    typeCell(field),
    absentCell(field, fields),
    marked(sentences(field, fields), fields),
  ])
  return table(['field', 'type', 'when absent', ''], rows)
}

function typeCell(field: ReferenceField): string {
  const [type = '', unit] = typeText(field).split(', ')
  const types = type
    .split(' | ')
    .map((one) =>
      one.startsWith('"') ? code(one) : plural(one.replace(/ (\d+)\.\.$/, ' from $1').replace('..', ' to ')),
    )
  return unit === undefined ? types.join(', ') : `${types.join(', ')}; ${unit}`
}

/** `list of lists of objects` */
function plural(type: string): string {
  return type.replaceAll(/of (list|string|object)/g, 'of $1s')
}

function absentCell(field: ReferenceField, fields: readonly ReferenceField[]): string {
  if (field.required !== undefined) return `**${marked(absentText(field), fields)}**`
  return field.absent === undefined && field.default !== '' ? code(field.default) : quoted(absentText(field))
}

/** With a capital, but for the name of a field. */
function sentences({ doc, more }: ReferenceField, fields: readonly ReferenceField[]): string {
  const [, word = ''] = /^([a-z]+)(?: is\b|,)/.exec(doc) ?? []
  const isName = fields.some(({ path }) => path === word)
  const first = isName || /^\w+[A-Z]/.test(doc) ? doc : doc.charAt(0).toUpperCase() + doc.slice(1)
  return more === undefined ? first : `${first}. ${more}`
}

function runtimeSection({ args = {}, schema }: PluginReference, fields: readonly ReferenceField[]): string[] {
  const capabilities = Object.keys(schema.shape.fields?.['runtimeConfig']?.shape.fields ?? {})
  const lines = [
    ...(capabilities.length === 0
      ? []
      : [
          `What is below \`runtimeConfig\` comes from the runtime, where the configuration says \`"capabilities": { ${capabilities.map((one) => `"${one}": true`).join(', ')} }\`.`,
        ]),
    ...(Object.keys(args).length === 0
      ? []
      : [
          'Keys of `CNI_ARGS`:',
          table(
            ['key', ''],
            Object.entries(args).map(([key, text]) => [code(key), marked(text, fields)]),
          ),
          'Others are refused (code 4), unless `IgnoreUnknown=1` is among them, as it is in what Kubernetes’ runtimes send.',
        ]),
  ]
  return lines.length === 0 ? [] : ['## From the runtime', ...lines]
}

function upstreamSection({ name }: PluginReference, fields: readonly ReferenceField[]): string[] {
  const differing = fields.filter(({ upstream }) => upstream !== undefined)
  if (differing.length === 0) return []
  return [
    `## In upstream's \`${upstreamName(name)}\``,
    differing.map(({ path, upstream = '' }) => `- ${code(path)}: ${marked(upstream, fields)}`).join('\n'),
    'What differs beside fields is in [ADR 8](../adr/0008-differences.md).',
  ]
}

function indexPage(): string {
  const common = referenceFields({ ...NO_PLUGIN, schema: object(commonFields), notes: COMMON_NOTES })
  return page([
    GENERATED,
    '# Reference',
    'Every field of every plugin. These pages are written from the same schema that reads a configuration, and a test fails when they are not what it says. `podwire explain PLUGIN [FIELD]` prints the same on a node.',
    ...REFERENCES.flatMap(({ title, plugins }) => [
      `**${title}**`,
      table(
        ['plugin', '', "upstream's name"],
        plugins.map(({ name, summary }) => [`[\`${name}\`](${name}.md)`, summary, code(upstreamName(name))]),
      ),
    ]),
    'Beside the fields: [environment variables](environment.md) · [error codes](errors.md) · [files and directories](files.md).',
    '## How a configuration is read',
    [
      '- Keys match in any case, as they do in Go: containerd sends `HostPort` for `hostPort`. Of keys that differ only in case the exact one counts, else the last.',
      '- `null` is the same as absent. Where a table says nothing for “when absent”, the field then says nothing: `""`, an empty list, no value.',
      '- Unknown keys are ignored.',
      '- A value of the wrong type is an error (code 7) that names the key: `ipam.ranges[0][1].subnet: expected a string, got a number`.',
      '- In the tables `[]` stands for each entry of a list, `*` for each key of an object.',
    ].join('\n'),
    '## Fields of every configuration',
    'What the CNI specification defines. `ipam` is for plugins that make an interface, `dns` for those and `ipam-static`. `name` and `cniVersion` are written once in a `.conflist`; the runtime gives them to each plugin, as it does with what “given by the runtime” is said of.',
    fieldTable(common),
    'The runtime alone reads `disableCheck`, `disableGC` and `loadOnlyInlinedPlugins` of a `.conflist`.',
    '## Capabilities',
    'What a runtime knows of one pod, and gives to plugins that ask for it: `"capabilities": { "portMappings": true }` in a plugin’s configuration makes the runtime add `runtimeConfig.portMappings`.',
    table(['capability', 'plugins'], capabilityRows()),
    '## `CNI_ARGS`',
    'Pairs `KEY=value`, separated by `;`. The names of keys count with their case.',
    table(['key', 'for', ''], argumentRows()),
  ])
}

const COMMON_NOTES = {
  cniVersion: { absent: '`"0.1.0"`' },
  cniVersions: { more: 'Since 1.1.0.' },
  name: { required: true, more: 'Letters, digits, "_", "." and "-"; the first is a letter or digit.' },
  type: { required: true },
  prevResult: { more: 'CHECK needs it; DEL gets it since 0.4.0, and does without.' },
  'cni.dev/valid-attachments': {
    more: 'Since 1.1.0. Also read as "cni.dev/attachments", as libcni sends it.',
  },
} as const

const NO_PLUGIN = { name: '', summary: '', about: [], notes: {}, example: [], outcome: '' }

function capabilityRows(): string[][] {
  const rows = new Map<string, string[]>()
  for (const { name, schema } of ALL_REFERENCES) {
    for (const key of Object.keys(schema.shape.fields?.['runtimeConfig']?.shape.fields ?? {}))
      rows.set(key, [...(rows.get(key) ?? []), `[\`${name}\`](${name}.md)`])
  }
  return [...rows]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, plugins]) => [code(key), plugins.join(', ')])
}

function argumentRows(): string[][] {
  const known = ALL_REFERENCES.flatMap(({ name, args = {} }) =>
    Object.entries(args).map(([key, text]) => [code(key), `[\`${name}\`](${name}.md)`, quoted(text)]),
  )
  const rows = known.filter(([, , text = '']) => !text.startsWith('passed over'))
  return [
    [
      code('IgnoreUnknown'),
      'all',
      '`1` or `true`: keys that the plugin does not know are passed over, not refused',
    ],
    [
      code('K8S_POD_NAMESPACE'),
      'all',
      'namespace of the pod, for records, `podwire list` and the log; plugins that are named here refuse it without `IgnoreUnknown=1` (code 4)',
    ],
    [code('K8S_POD_NAME'), 'all', 'name of the pod, for the same'],
    ...rows,
  ]
}

/** `0.1.0 to 1.1.0` */
function versionsText(name: string): string {
  const versions = findPlugin(name)?.supportedVersions ?? []
  return versions.length === SPEC_VERSIONS.length
    ? `all versions, ${versions[0]} to ${versions.at(-1)}`
    : `version ${versions[0]} and newer`
}

function upstreamName(name: string): string {
  return Object.entries(UPSTREAM_NAMES).find(([, own]) => own === name)?.[0] ?? ''
}

function page(paragraphs: readonly string[]): string {
  return `${paragraphs.join('\n\n')}\n`
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`.replaceAll('  ', ' ')
  const body = rows.map((row) => line(row.map((cell) => cell.replaceAll('|', '\\|'))))
  return [line(titles), `|${titles.map(() => '---|').join('')}`, ...body].join('\n')
}

function code(text: string): string {
  return `\`${text}\``
}

/** Values, placeholders and names of variables as code. */
function quoted(text: string): string {
  return outsideCode(text, (part) =>
    part.replaceAll(/"[^"]*"|[\w/]*<\w+>(?:[\w.</>-]*[\w>])?|\b(?:CNI|K8S)_[A-Z_]+\b/g, (word) => code(word)),
  )
}

/** And names of fields, where they are no plain words. */
function marked(text: string, fields: readonly ReferenceField[]): string {
  const names = new Set(fields.flatMap(({ path }) => [path, ...path.split(/[.[\]]+/)]))
  return outsideCode(quoted(text), (part) =>
    part.replaceAll(/[\w.]*[a-z][A-Z.]\w[\w.]*\w/g, (word) =>
      names.has(word) || names.has(word.split('.').at(-1) ?? '') ? code(word) : word,
    ),
  )
}

function outsideCode(text: string, change: (part: string) => string): string {
  return text
    .split(/(`[^`]*`|\]\([^)]*\))/)
    .map((part, at) => (at % 2 === 1 ? part : change(part)))
    .join('')
}

if (import.meta.main) {
  for (const { name } of ALL_REFERENCES) rmSync(join(DIRECTORY, `${name}.md`), { force: true })
  for (const [name, text] of referencePages()) writeFileSync(join(DIRECTORY, name), text)
  console.log(`${DIRECTORY}: ${referencePages().size} pages`)
}
