import { test } from 'tap'
import { atLeast, encodeVersions, requireVersion, SPEC_VERSIONS, type SpecVersion } from './versions.ts'

test('atLeast orders the versions as they came', async (t) => {
  t.equal(atLeast('0.4.0', '0.4.0'), true)
  t.equal(atLeast('1.1.0', '0.4.0'), true)
  t.equal(atLeast('0.3.1', '0.4.0'), false)
})

test('encodeVersions prints the line that upstream prints', async (t) => {
  t.equal(
    encodeVersions(SPEC_VERSIONS),
    '{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}\n',
  )
})

const old: readonly SpecVersion[] = ['0.3.1', '0.4.0']

test('requireVersion lets a command run when config and plugin allow it', async (t) => {
  for (const version of SPEC_VERSIONS) t.equal(requireVersion('ADD', version, SPEC_VERSIONS), version)
  for (const version of SPEC_VERSIONS.slice(4))
    t.equal(requireVersion('CHECK', version, SPEC_VERSIONS), version)
  for (const command of ['GC', 'STATUS']) t.equal(requireVersion(command, '1.1.0', SPEC_VERSIONS), '1.1.0')
})

test('requireVersion says what does not fit', async (t) => {
  for (const [command, version, supported, code, message] of [
    ['ADD', '1.2.0', SPEC_VERSIONS, 1, 'incompatible CNI versions'],
    ['DEL', '1.0.0', old, 1, 'incompatible CNI versions'],
    ['ADD', 'abc', SPEC_VERSIONS, 1, 'incompatible CNI versions'],
    ['CHECK', '0.3.1', SPEC_VERSIONS, 1, 'config version does not allow CHECK'],
    ['CHECK', '0.3.9', SPEC_VERSIONS, 1, 'config version does not allow CHECK'],
    ['CHECK', '1.0.0', old, 1, 'plugin version does not allow CHECK'],
    ['CHECK', '0.9', SPEC_VERSIONS, 1, 'incompatible CNI versions'],
    ['CHECK', 'abc', SPEC_VERSIONS, 6, 'invalid version "abc" in network config'],
    ['GC', '1.0.0', SPEC_VERSIONS, 1, 'config version does not allow GC'],
    ['GC', '1.1.0', old, 1, 'plugin version does not allow GC'],
    ['STATUS', '1.0.0', SPEC_VERSIONS, 1, 'config version does not allow STATUS'],
    ['STATUS', '2.0.0', SPEC_VERSIONS, 1, 'plugin version does not allow STATUS'],
  ] as const) {
    t.throws(() => requireVersion(command, version, supported), { code, message }, `${command} ${version}`)
  }
  t.throws(() => requireVersion('ADD', '1.2.0', old), {
    code: 1,
    details: 'config is "1.2.0", plugin supports ["0.3.1" "0.4.0"]',
  })
})
