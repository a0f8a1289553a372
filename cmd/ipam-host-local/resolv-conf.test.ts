import { test } from 'tap'
import { parseResolvConf } from './resolv-conf.ts'

test('resolv.conf gives name servers, search domains, domain and options', async (t) => {
  const text = `# made by somebody
; also a comment
nameserver 192.0.2.1
nameserver fd00::53
domain pods.example
search one.example two.example
search three.example
options ndots:5
options timeout:1 rotate
sortlist 10.0.0.0
nameserver
`
  t.strictSame(parseResolvConf(text), {
    nameservers: ['192.0.2.1', 'fd00::53'],
    search: ['one.example', 'two.example', 'three.example'],
    options: ['ndots:5', 'timeout:1', 'rotate'],
    domain: 'pods.example',
  })
  t.strictSame(parseResolvConf(''), { nameservers: [], search: [], options: [] })
})
