import { test } from 'tap'
import type { Plugin, Repair } from '../../lib/cni/plugin.ts'
import { SPEC_VERSIONS } from '../../lib/cni/versions.ts'
import { FakeKernel } from '../../lib/host/kernel-fake.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { MemoryAttachmentStore } from '../../lib/state/attachments-memory.ts'
import { repair } from './repair.ts'

const BOOT = 'boot-1'

/** Two pods that live, and one whose namespace is gone. */
function makePorts(): Ports {
  const kernel = new FakeKernel()
  const attachments = new MemoryAttachmentStore(BOOT)
  for (const containerId of ['pod-1', 'pod-2', 'gone']) {
    const netns = `/run/netns/${containerId}`
    if (containerId !== 'gone') kernel.addNamespace(netns)
    const key = { plugin: 'p', network: 'net', containerId, ifname: 'eth0' }
    const pod = containerId === 'pod-1' ? { podNamespace: 'demo', podName: 'web' } : {}
    attachments.put({ ...key, ...pod, netns, record: {}, bootId: BOOT, createdAtMs: 0, isComplete: true })
  }
  return { kernel, attachments } as unknown as Ports
}

function makePlugin(mend?: (containerId: string) => Repair): Plugin<Ports> {
  const unused = async () => {
    throw new Error('repair calls nothing else')
  }
  return {
    name: 'p',
    supportedVersions: SPEC_VERSIONS,
    add: unused,
    del: unused,
    check: unused,
    ...(mend === undefined ? {} : { repair: async (_: Ports, { containerId }) => mend(containerId) }),
  }
}

const whole: Repair = { mended: [], left: [] }

test('podwire repair says what was mended, of the pods that live', async (t) => {
  const asked: string[] = []
  const plugin = makePlugin((containerId) => {
    asked.push(containerId)
    return containerId === 'pod-1' ? { mended: ['x is gone', 'y is gone'], left: [] } : whole
  })
  t.equal(
    await repair(makePorts(), [plugin]),
    `demo/web eth0 (net)
  mended: x is gone
  mended: y is gone
mended 2 differences, looked at 2 interfaces
`,
  )
  t.strictSame(asked, ['pod-1', 'pod-2'])
})

test('podwire repair says so when nothing is wrong, and when no plugin knows how', async (t) => {
  for (const plugins of [[makePlugin(() => whole)], [makePlugin()], []])
    t.equal(await repair(makePorts(), plugins), 'nothing to mend in 2 interfaces\n')
})

test('podwire repair goes on after a failure, and tells it with all that was done', async (t) => {
  const plugin = makePlugin((containerId) => {
    if (containerId === 'pod-1') throw new Error('no permission')
    return { mended: ['x is gone'], left: ['y is gone (EPERM)'] }
  })
  await t.rejects(repair(makePorts(), [plugin]), {
    code: 'EREPAIR',
    message:
      'not all could be mended\n' +
      'demo/web eth0 (net)\n  not mended: no permission\n' +
      'pod-2 eth0 (net)\n  mended: x is gone\n  not mended: y is gone (EPERM)',
  })
})
