import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { asProcess1Sees } from './process-1.ts'

test('asProcess1Sees follows links of directories, whether or not something is there', (t) => {
  const root = t.testdir({ run: { netns: { pod: '' } } })
  symlinkSync(join(root, 'run'), join(root, 'var'))
  symlinkSync('pod', join(root, 'run/netns/link'))
  for (const [path, seen] of [
    ['run/netns/pod', 'run/netns/pod'],
    ['var/netns/pod', 'run/netns/pod'],
    ['var/netns/gone', 'run/netns/gone'],
    ['var/gone/too/pod', 'run/gone/too/pod'],
    ['var/netns/pod/below', 'run/netns/pod/below'],
    ['var/netns/link', 'run/netns/link'],
  ] as const) {
    t.equal(asProcess1Sees(join(root, path)), join('/proc/1/root', root, seen), path)
  }
  t.equal(asProcess1Sees('/pod'), '/proc/1/root/pod')
  t.equal(asProcess1Sees('/'), '/proc/1/root/')
  t.end()
})
