import { test } from 'tap'
import { configVersion, MAX_CONFIG_LENGTH, networkName, parseConfigText } from './config-text.ts'

test('parseConfigText reads a JSON object', async (t) => {
  t.same(parseConfigText(' {"name": "x", "a": {"b": []}}\n'), { name: 'x', a: { b: [] } })
  const brackets = JSON.stringify({ text: '[{'.repeat(1000), quote: `\\"${'['.repeat(1000)}` })
  t.same(parseConfigText(brackets), JSON.parse(brackets), 'brackets in strings are no nesting')
  const wide = JSON.stringify({ a: Array.from({ length: 1000 }, () => [{}]) })
  t.same(parseConfigText(wide), JSON.parse(wide), 'many brackets are no nesting')
})

test('parseConfigText refuses what is no config', async (t) => {
  for (const [text, why] of [
    ['', /Unexpected end of JSON input$/],
    ['{', /JSON/],
    ['{"name":"x"} x', /JSON/],
    ['{"name":"x"}{}', /JSON/],
    ['{"a":NaN}', /JSON/],
    ['\ufeff{}', /JSON/],
    ['null', /expected an object, got null$/],
    ['[]', /expected an object, got a list$/],
    ['"x"', /expected an object, got a string$/],
    [`{"a":${'['.repeat(600)}${']'.repeat(600)}}`, /nested deeper than 500 levels$/],
    ['['.repeat(5_000_000), /nested deeper than 500 levels$/],
    [`{"a":"${'x'.repeat(MAX_CONFIG_LENGTH)}"}`, /longer than 8388608 characters$/],
  ] as const) {
    const message = new RegExp(`^error unmarshall network config: .*${why.source}`, 's')
    t.throws(() => parseConfigText(text), { code: 6, message }, text.slice(0, 40))
  }
})

test('networkName reads a valid name or says what is wrong with it', async (t) => {
  t.equal(networkName({ NAME: 'a-b_c.9' }), 'a-b_c.9')
  for (const [given, code, message] of [
    [{}, 7, 'missing network name'],
    [{ name: '' }, 7, 'missing network name'],
    [{ name: null }, 7, 'missing network name'],
    [{ name: 'a/b' }, 7, 'invalid characters found in network name'],
    [{ name: '.' }, 7, 'invalid characters found in network name'],
    [{ name: 1 }, 6, 'error unmarshall network config: name: expected a string, got a number'],
  ] as const) {
    t.throws(() => networkName(given), { code, message }, JSON.stringify(given))
  }
})

test('configVersion reads the version, which is 0.1.0 when there is none', async (t) => {
  for (const [given, version] of [
    [{}, '0.1.0'],
    [{ cniVersion: '' }, '0.1.0'],
    [{ cniVersion: null }, '0.1.0'],
    [{ CNIVersion: '1.0.0' }, '1.0.0'],
    [{ cniVersion: 'x' }, 'x'],
  ] as const) {
    t.equal(configVersion(given), version, JSON.stringify(given))
  }
  const message = 'decoding version from network config: cniVersion: expected a string, got a number'
  t.throws(() => configVersion({ cniVersion: 1 }), { code: 6, message })
})
