import { test } from 'tap'
import { parseConfigText } from './config-text.ts'
import { perConfig } from './per-config.ts'

const textOf = (number: number) => JSON.stringify({ name: `net-${number}`, ipam: { ranges: [[{}]] } })

test('a text that comes again is the same config, in which nothing can be changed', async (t) => {
  const config = parseConfigText(textOf(1))
  t.equal(parseConfigText(textOf(1)), config)
  t.not(parseConfigText(textOf(2)), config)
  const { ipam } = config as { ipam: { ranges: object[][] } }
  t.throws(() => Object.assign(config, { name: 'x' }), TypeError)
  t.throws(() => ipam.ranges[0]?.push({}), TypeError)
})

test('what is of one pod is not kept, nor what is long; and of the others those that came last', async (t) => {
  const rows: [what: string, text: string][] = [
    ['a result', '{"name":"net","prevResult":{}}'],
    ['its ports', '{"name":"net","RuntimeConfig":{"portMappings":[]}}'],
    ['long', JSON.stringify({ name: 'net', more: 'x'.repeat(16 * 1024) })],
  ]
  for (const [what, text] of rows) {
    t.not(parseConfigText(text), parseConfigText(text), what)
    t.notOk(Object.isFrozen(parseConfigText(text)), what)
  }
  const used = parseConfigText(textOf(3))
  for (let i = 10; i < 40; i++) {
    parseConfigText(textOf(i))
    t.equal(parseConfigText(textOf(3)), used, 'it comes again and again')
  }
  const last = parseConfigText(textOf(39))
  t.equal(parseConfigText(textOf(39)), last)
})

test('perConfig makes once of a config that is kept, and anew of others and after an error', async (t) => {
  const seen: unknown[] = []
  const make = perConfig((config) => {
    seen.push(config['name'])
    if (config['fails'] === true) throw new Error('no')
    return { name: config['name'] }
  })
  const kept = parseConfigText('{"name":"kept"}')
  t.equal(make(kept), make(kept))
  const own = { name: 'own' }
  t.not(make(own), make(own))
  const failing = parseConfigText('{"name":"failing","fails":true}')
  t.throws(() => make(failing), { message: 'no' })
  t.throws(() => make(failing), { message: 'no' })
  t.strictSame(seen, ['kept', 'own', 'own', 'failing', 'failing'])
})
