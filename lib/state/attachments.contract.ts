// What every AttachmentStore does; run on the real one and on the fake.

import { type Test, test } from 'tap'

import type { Attachment, AttachmentStore } from './attachments.ts'

/** Opens a store on what the stores opened before in this test left. */
export type OpenAttachments = (bootId: string) => AttachmentStore

function attachment(changes: Partial<Attachment> = {}): Attachment {
  return {
    plugin: 'cni-bridge',
    network: 'kindnet',
    containerId: 'c1',
    ifname: 'eth0',
    netns: '/run/netns/x',
    record: { host: 'veth1', rules: [1, 2], gateway: null },
    bootId: 'boot-1',
    createdAtMs: 1_700_000_000_123,
    isComplete: true,
    ...changes,
  }
}

export function attachmentStoreContract(name: string, prepare: (t: Test) => OpenAttachments): void {
  test(`${name} finds what was put`, async (t) => {
    const store = prepare(t)('boot-1')
    const plain = attachment()
    const ofPod = attachment({ ifname: 'net1', podNamespace: 'default', podName: 'web-0' })
    store.put(plain)
    store.put(ofPod)
    t.strictSame(store.find(plain), plain)
    t.strictSame(store.find(ofPod), ofPod)
  })

  test(`${name} finds nothing when one part of the key differs`, async (t) => {
    const store = prepare(t)('boot-1')
    store.put(attachment())
    for (const change of [{ plugin: 'x' }, { network: 'x' }, { containerId: 'x' }, { ifname: 'x' }]) {
      t.equal(store.find(attachment(change)), undefined, JSON.stringify(change))
    }
  })

  test(`${name} replaces what is put again`, async (t) => {
    const store = prepare(t)('boot-1')
    store.put(attachment({ podName: 'old' }))
    store.put(attachment({ record: 'new' }))
    t.strictSame(store.list(), [attachment({ record: 'new' })])
  })

  test(`${name} completes what was put incomplete, and does not mind when there is nothing`, async (t) => {
    const store = prepare(t)('boot-1')
    const half = attachment({ isComplete: false, callId: 'call-1' })
    store.put(half)
    store.put(attachment({ ifname: 'net1', isComplete: false }))
    t.strictSame(store.find(half), half)
    store.complete(half)
    store.complete(attachment({ containerId: 'none' }))
    t.strictSame(store.list(), [
      { ...half, isComplete: true },
      attachment({ ifname: 'net1', isComplete: false }),
    ])
  })

  test(`${name} deletes, and does not mind when there is nothing`, async (t) => {
    const store = prepare(t)('boot-1')
    store.put(attachment())
    store.put(attachment({ ifname: 'net1' }))
    store.delete(attachment())
    store.delete(attachment())
    t.strictSame(store.list(), [attachment({ ifname: 'net1' })])
    t.equal(store.count(), 1)
  })

  test(`${name} lists by filter, in key order`, async (t) => {
    const store = prepare(t)('boot-1')
    const b = attachment({ plugin: 'cni-portmap' })
    const c = attachment({ containerId: 'c2' })
    const d = attachment({ network: 'other' })
    for (const each of [b, d, c, attachment()]) store.put(each)
    for (const [filter, expected] of [
      [{}, [attachment(), c, d, b]],
      [{ plugin: 'cni-portmap' }, [b]],
      [{ network: 'kindnet' }, [attachment(), c, b]],
      [{ containerId: 'c2', plugin: 'cni-bridge' }, [c]],
      [{ containerId: 'none' }, []],
    ] as const) {
      t.strictSame(store.list(filter), expected, JSON.stringify(filter))
    }
  })

  test(`${name} does not show an earlier boot's records unless asked`, async (t) => {
    const open = prepare(t)
    open('boot-1').put(attachment())
    const store = open('boot-2')
    t.equal(store.find(attachment()), undefined)
    t.strictSame(store.list(), [])
    t.equal(store.count(), 0)
    t.strictSame(store.list({ anyBoot: true }), [attachment()])
  })

  test(`${name} drops an earlier boot's records with the first change`, async (t) => {
    const open = prepare(t)
    open('boot-1').put(attachment())
    const store = open('boot-2')
    const ours = attachment({ containerId: 'c2', bootId: 'boot-2' })
    store.put(ours)
    t.strictSame(store.list({ anyBoot: true }), [ours])
  })

  test(`${name} changes nothing when it is probed`, async (t) => {
    const store = prepare(t)('boot-1')
    store.put(attachment())
    store.probe()
    t.strictSame(store.list(), [attachment()])
  })

  test(`${name} shows one store what another put`, async (t) => {
    const open = prepare(t)
    const [one, two] = [open('boot-1'), open('boot-1')]
    one.put(attachment())
    t.strictSame(two.find(attachment()), attachment())
    two.delete(attachment())
    t.equal(one.find(attachment()), undefined)
  })
}
