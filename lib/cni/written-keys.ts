// The keys of an object as they are written: of those that are written twice, JSON.parse keeps the last and says nothing.

/** One token of JSON; white space is left out. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g

/**
 * @param text  JSON, an object
 * @param name  of a key of it, in any case, whose value is an object
 * @returns the keys of that value, in order, as often as they are written; of every key of that name, if it is
 *   written twice itself
 */
export function writtenKeys(text: string, name: string): string[] {
  const found: string[] = []
  const path: string[] = []
  let key = ''
  let before = ''
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') path.push(key)
    else if (token === '}' || token === ']') path.pop()
    else if (token === ':') {
      key = JSON.parse(before) as string
      if (path.length === 2 && path[1]?.toLowerCase() === name.toLowerCase()) found.push(key)
    }
    before = token
  }
  return found
}
