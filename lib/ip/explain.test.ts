import { test } from 'tap'
import { explainInvalidAddress } from './explain.ts'

const OCTET = 'value given contains an invalid Octet; Value is less than zero or is greater than 8bit'
const LENGTH = 'the length of the prefix must be a number from 0 to'

const EXPLAINED: readonly (readonly [text: string, why: string])[] = [
  ['', 'it is empty'],
  ['10.0.0.1 ', 'it has white space around it'],
  ['10.0.0', 'an IP4 number cannot have less or greater than 4 octets'],
  ['10.0.0.256', OCTET],
  ['10.0.0.01', OCTET],
  ['10.0.0/24', 'an IP4 number cannot have less or greater than 4 octets'],
  ['10.0.0.0/33', `${LENGTH} 32 without leading zeros`],
  ['10.0.0.0/024', `${LENGTH} 32 without leading zeros`],
  ['10.0.0.300/40', `${OCTET}; ${LENGTH} 32 without leading zeros`],
  ['10.0.0.0/24/3', 'it has more than one slash'],
  ['::/129', `${LENGTH} 128 without leading zeros`],
  ['fd00::g', 'it is not in the form of an IPv6 address'],
  ['1::2::3', 'it is not in the form of an IPv6 address'],
  ['1:2:3', 'it is not in the form of an IPv6 address'],
  ['fe80::1%eth0', 'an address with a zone is not accepted'],
  ['::ffff:10.0.0.1/120', 'an IPv4-mapped address is not accepted here: write it as IPv4'],
  ['10.0.0.1', ''],
  ['fd00::1/64', ''],
]

test('explainInvalidAddress says what is wrong with a text', async (t) => {
  for (const [text, why] of EXPLAINED) t.equal(await explainInvalidAddress(text), why, JSON.stringify(text))
})
