// JSON as lines, `ips[0].address "10.1.0.2/24"`, in the order in which it was written.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export function flatten(value: Json, path = ''): string[] {
  if (value === null || typeof value !== 'object') return [`${path} ${JSON.stringify(value)}`]
  const entries = Object.entries(value)
  if (entries.length === 0) return [`${path} ${Array.isArray(value) ? '[]' : '{}'}`]
  return entries.flatMap(([key, item]) => {
    const step = Array.isArray(value) ? `[${key}]` : `${path === '' ? '' : '.'}${key}`
    return flatten(item, path + step)
  })
}
