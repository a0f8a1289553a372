import { test } from 'tap'
import { writtenKeys } from './written-keys.ts'

const ROWS: readonly [text: string, keys: string[]][] = [
  ['{"sysctl":{"a":"1","b":"2","a":"3"}}', ['a', 'b', 'a']],
  ['{"other":{"x":1},"SysCtl":{"a":{"inner":1},"\\u0061":"2"}}', ['a', 'a']],
  ['{"args":{"sysctl":{"a":"1"}}}', []],
  ['{"list":["sysctl",{"a":1}],"sysctl" : {"}:{": "a:b", "c,\\"d": "\\\\"} }', ['}:{', 'c,"d']],
  ['{"sysctl":["a"],"sysctl":{}}', []],
  ['{"sysctl":{"a":"1"},"sysctl":{"a":"2"}}', ['a', 'a']],
  ['{}', []],
]

for (const [text, keys] of ROWS)
  test(`writtenKeys finds ${JSON.stringify(keys)} in ${text}`, (t) => {
    t.strictSame(writtenKeys(text, 'sysctl'), keys)
    t.end()
  })
