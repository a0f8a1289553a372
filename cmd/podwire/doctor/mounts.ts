// How the file systems are mounted that paths are on (proc(5), /proc/self/mountinfo).

import type { Disk } from '../disk.ts'

export interface Mount {
  /** Where. */
  readonly point: string
  readonly isReadOnly: boolean
  readonly isNoExec: boolean
}

/** Of the path, or of what it will be made in. @returns undefined where /proc is not */
export function findMount(disk: Disk, path: string): Mount | undefined {
  const mounts = (disk.read('/proc/self/mountinfo') ?? '').split('\n').flatMap(parse)
  // The last one that covers the path hides those before it.
  const covering = mounts.filter(({ point }) => isBelow(path, point))
  const longest = Math.max(...covering.map(({ point }) => point.length))
  return covering.findLast(({ point }) => point.length === longest)
}

function parse(line: string): Mount[] {
  const [, , , , point = '', options = ''] = line.split(' ')
  if (point === '') return []
  const words = options.split(',')
  return [
    { point: unescapeOctal(point), isReadOnly: words.includes('ro'), isNoExec: words.includes('noexec') },
  ]
}

/** Space, tab, newline and backslash are told as `\040` and so on. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)))
}

function isBelow(path: string, point: string): boolean {
  return point === '/' || path === point || path.startsWith(`${point}/`)
}
