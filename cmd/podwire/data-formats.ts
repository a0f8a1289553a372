// What a command found, as data for programs: JSON and YAML (`-o json`, `-o yaml`).

export type Data =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Data[]
  | { readonly [key: string]: Data }

export function formatJson(data: Data): string {
  return `${JSON.stringify(data, null, 2)}\n`
}

/** YAML 1.2, of which JSON's strings are part: what could be taken for something else is quoted as there. */
export function formatYaml(data: Data): string {
  return `${yamlLines(data).join('\n')}\n`
}

function yamlLines(data: Data): string[] {
  if (Array.isArray(data)) {
    if (data.length === 0) return ['[]']
    return data.flatMap((item: Data) => yamlLines(item).map((line, i) => `${i === 0 ? '- ' : '  '}${line}`))
  }
  if (typeof data !== 'object' || data === null) return [yamlScalar(data as string | number | boolean | null)]
  const entries = Object.entries(data).filter(([, value]) => value !== undefined)
  if (entries.length === 0) return ['{}']
  return entries.flatMap(([key, value]) => yamlEntry(yamlScalar(key), value))
}

function yamlEntry(key: string, value: Data): string[] {
  const lines = yamlLines(value)
  const isNested = typeof value === 'object' && value !== null && Object.keys(value).length > 0
  return isNested ? [`${key}:`, ...lines.map((line) => `  ${line}`)] : [`${key}: ${lines[0]}`]
}

/** Plain only what no reader of YAML 1.1 or 1.2 takes for a number, a date, a boolean or null. */
const PLAIN_TEXT = /^[A-Za-z/][A-Za-z0-9_./-]*$/
const NOT_PLAIN = /^(?:null|true|false|yes|no|on|off|y|n)$/i

function yamlScalar(value: string | number | boolean | null | undefined): string {
  if (typeof value !== 'string') return JSON.stringify(value ?? null)
  return PLAIN_TEXT.test(value) && !NOT_PLAIN.test(value) ? value : JSON.stringify(value)
}
