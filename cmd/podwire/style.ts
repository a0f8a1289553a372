// How commands print for people: colours on a terminal, columns, ages.

import { stripVTControlCharacters, styleText } from 'node:util'

export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly good: (text: string) => string
  readonly warn: (text: string) => string
  readonly bad: (text: string) => string
}

const asItIs = (text: string) => text

export const PLAIN: Style = { bold: asItIs, dim: asItIs, good: asItIs, warn: asItIs, bad: asItIs }

type Colour = Parameters<typeof styleText>[0]

const COLOURED: Style = {
  bold: coloured('bold'),
  dim: coloured('gray'),
  good: coloured('green'),
  warn: coloured('yellow'),
  bad: coloured('red'),
}

function coloured(format: Colour): (text: string) => string {
  return (text) => (text === '' ? '' : styleText(format, text, { validateStream: false }))
}

/** Of COLOURED: no terminal does more than paint by these. */
const OWN_COLOURS = [1, 22, 31, 32, 33, 39, 90].map((code) => `\u001b[${code}m`)

export type Kept = 'lines' | 'colours'

/**
 * A text in which others have a say (names of pods and interfaces, messages), with all written out that would move a
 * terminal's cursor, change its title, turn the direction of writing or forge a line: `\u001b`, as JSON has it.
 *
 * @param kept  what is meant to be in it: line ends, our own colours
 */
export function visible(text: string, ...kept: readonly Kept[]): string {
  return text.replace(/(?!\n)\p{Cc}\[\d+m|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (found) => {
    const isMeant =
      found === '\n' ? kept.includes('lines') : kept.includes('colours') && OWN_COLOURS.includes(found)
    return isMeant ? found : writeOut(found)
  })
}

function writeOut(text: string): string {
  return text.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

interface Reader {
  readonly isTerminal: boolean
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Colours for a terminal that has them, unless NO_COLOR is set (https://no-color.org). */
export function styleFor({ isTerminal, environment }: Reader): Style {
  const { NO_COLOR: without, TERM: terminal } = environment
  return isTerminal && !without && terminal !== 'dumb' ? COLOURED : PLAIN
}

/** Columns with two spaces between them, as `kubectl` prints them. '' is printed as `-`, but in the last column. */
export function formatTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [
    titles,
    ...rows.map((row) => row.map((cell, i) => visible(cell, 'colours') || (i + 1 < row.length ? '-' : ''))),
  ]
  const widths = titles.map((_, i) => Math.max(...lines.map((line) => widthOf(line[i] ?? ''))))
  const format = (line: readonly string[]) =>
    line
      .map((cell, i) => cell + ' '.repeat((widths[i] ?? 0) - widthOf(cell)))
      .join('  ')
      .trimEnd()
  return lines.map((line) => `${format(line)}\n`).join('')
}

function widthOf(text: string): number {
  return [...stripVTControlCharacters(text)].length
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** As `kubectl` has it: `45s`, `3m12s`, `42m`, `7h5m`, `30h`, `5d`. */
export function formatAge(ms: number): string {
  const age = Math.max(0, ms)
  const whole = (unit: number) => Math.floor(age / unit)
  const rest = (unit: number, of: number, letter: string) => {
    const count = Math.floor((age % of) / unit)
    return count === 0 ? '' : `${count}${letter}`
  }
  if (age < 2 * MINUTE) return `${whole(SECOND)}s`
  if (age < 10 * MINUTE) return `${whole(MINUTE)}m${rest(SECOND, MINUTE, 's')}`
  if (age < HOUR) return `${whole(MINUTE)}m`
  if (age < 8 * HOUR) return `${whole(HOUR)}h${rest(MINUTE, HOUR, 'm')}`
  if (age < 2 * DAY) return `${whole(HOUR)}h`
  return `${whole(DAY)}d`
}

/** `1 pod`, `2 pods` */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** Lines of so many characters at most, but for words that are longer. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
