import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { openPorts } from '../../lib/host/open-ports.ts'
import { EMPTY_STORES } from './empty-stores.ts'

test('who only looks makes no store, and sees one that is there', async (t) => {
  const stateDir = join(t.testdir({}), 'state')
  const open = (onlyLooks: boolean) => {
    const environment = { PODWIRE_STATE_DIR: stateDir }
    const emptyStores = onlyLooks ? EMPTY_STORES : undefined
    const ports = openPorts({
      environment,
      executable: '/x/podwire',
      findPlugin: () => undefined,
      emptyStores,
    })
    t.teardown(() => ports.close())
    return ports
  }
  const looking = open(true)
  t.strictSame(looking.attachments.list(), [])
  const dataDir = join(stateDir, 'networks')
  t.strictSame(
    looking.leases(dataDir).read((reader) => reader.listHeld()),
    [],
  )
  t.notOk(existsSync(stateDir))
  const { attachments, bootId } = open(false)
  const key = { plugin: 'p', network: 'net', containerId: 'c', ifname: 'eth0' }
  attachments.put({ ...key, netns: '/x', record: {}, bootId, createdAtMs: 0, isComplete: true })
  t.match(open(true).attachments.list(), [key])
})
