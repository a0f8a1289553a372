import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { openPorts } from './open-ports.ts'

test('who only looks makes no store, and sees one that is there', async (t) => {
  const stateDir = join(t.testdir({}), 'state')
  const open = (onlyLooks: boolean) => {
    const environment = { PODWIRE_STATE_DIR: stateDir }
    const ports = openPorts({ environment, executable: '/x/podwire', findPlugin: () => undefined, onlyLooks })
    t.teardown(() => ports.close())
    return ports
  }
  t.strictSame(open(true).attachments.list(), [])
  t.notOk(existsSync(stateDir))
  const { attachments, bootId } = open(false)
  const key = { plugin: 'p', network: 'net', containerId: 'c', ifname: 'eth0' }
  attachments.put({ ...key, netns: '/x', record: {}, bootId, createdAtMs: 0, isComplete: true })
  t.match(open(true).attachments.list(), [key])
})
