// Colours of the page, by WCAG 2.2: text has a contrast of 4.5 to what it is on, in light and in dark.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

const CSS = readFileSync(join(import.meta.dirname, 'browser/page.css'), 'utf8')

/** Text, and what it is on. */
const PAIRS = [
  ...['ink', 'soft', 'interfaces', 'crossing', 'bridge', 'pod', 'good', 'bad'].flatMap((text) =>
    ['paper', 'sheet', 'raised'].map((ground) => [text, ground] as const),
  ),
  ['ink', 'pod-pale'],
  ['ink', 'bad-pale'],
  ['soft', 'bad-pale'],
  ['bad', 'bad-pale'],
] as const

function palettes(): ReadonlyMap<string, string>[] {
  const blocks = [...CSS.matchAll(/:root \{([^}]*)\}/g)].map(([, block = '']) => block)
  return blocks.map(
    (block) =>
      new Map(
        [...block.matchAll(/--([\w-]+): (#[0-9a-f]{6})/g)].map(([, name = '', colour = '']) => [
          name,
          colour,
        ]),
      ),
  )
}

/** https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function contrast(a: string, b: string): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (light + 0.05) / (dark + 0.05)
}

test('text can be read on what it is on, in light and in dark', (t) => {
  const all = palettes()
  t.equal(all.length, 2)
  for (const [i, palette] of all.entries()) {
    for (const [text, ground] of PAIRS) {
      const found = contrast(palette.get(text) ?? '#000000', palette.get(ground) ?? '#000000')
      t.ok(found >= 4.5, `${['light', 'dark'][i]}: ${text} on ${ground}: ${found.toFixed(1)}`)
    }
  }
  t.end()
})
