import { test } from 'tap'
import { startedByFirstTry } from './call.ts'

test('a second try knows what its first try has started, and neither itself nor others', (t) => {
  const isOrphan = startedByFirstTry({ PODWIRE_CALL: 'a1', PODWIRE_RETRY: '1' })
  for (const [variables, expected] of [
    [['PATH=/bin', 'PODWIRE_CALL=a1', 'PODWIRE_NO_DAEMON=1'], true],
    [['PODWIRE_CALL=a1', 'PODWIRE_RETRY=1'], false],
    [['PODWIRE_CALL=a2'], false],
    [['PODWIRE_CALL=a11'], false],
    [[], false],
  ] as const)
    t.equal(isOrphan?.(variables), expected, variables.join(' '))
  t.end()
})

test('a first try has started nothing that is to end', (t) => {
  for (const environment of [{}, { PODWIRE_CALL: 'a1' }, { PODWIRE_CALL: '', PODWIRE_RETRY: '1' }])
    t.equal(startedByFirstTry(environment), undefined)
  t.end()
})
