// Stores that cannot be used: one clear error, nothing made, and nothing lost when the store is well again.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from '../harness/case.ts'
import { withMounts } from '../harness/mounts.ts'
import type { Namespace } from '../harness/node.ts'
import type { Options, Stage } from '../harness/stage.ts'
import { DUAL } from './attach.ts'

const OURS_ONLY = 'upstream has no such store'
const FIELDS = { isDefaultGateway: true, ipMasq: true }

interface Trouble {
  readonly options?: Options
  readonly begin?: () => unknown
  readonly end?: () => unknown
}

/** While the trouble lasts a new pod is refused; after it a pod from before goes as if nothing had been. */
async function troubled(
  stage: Stage,
  make: (earlier: Namespace) => Trouble | Promise<Trouble>,
): Promise<void> {
  const config = stage.bridgeConfig({ ...FIELDS, ipam: stage.ipam(DUAL) })
  const [earlier, pod] = [await stage.addPod('pod1'), await stage.addPod('pod2')]
  await stage.add(earlier, config, { quiet: true })
  const { options, begin, end } = await make(earlier)
  await begin?.()
  await stage.watch()
  const { status, json } = await stage.add(pod, config, options)
  const { code, details = '' } = json as { code?: number; details?: string }
  stage.require(
    status === 1 && code !== undefined && details !== '',
    'ADD fails, and details tell what to do',
  )
  await stage.look()
  await end?.()
  await stage.del(pod, config)
  await stage.del(earlier, config)
}

const stories: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'the lease store is damaged': (stage) => {
    const file = join(stage.node.dataDir, 'podwire-leases.db')
    return troubled(stage, async () => ({
      begin: () =>
        stage.sh(
          `cp -a ${stage.node.dataDir} ${stage.node.dataDir}.kept; rm -f ${file}-wal ${file}-shm; head -c 8192 /dev/zero >${file}`,
        ),
      end: () => stage.sh(`rm -r ${stage.node.dataDir}; mv ${stage.node.dataDir}.kept ${stage.node.dataDir}`),
    }))
  },
  'the attachment store is damaged': (stage) => {
    const file = join(stage.node.stateDir, 'attachments.db')
    return troubled(stage, async () => ({
      begin: () =>
        stage.sh(
          `cp -a ${stage.node.stateDir} ${stage.node.stateDir}.kept; rm -f ${file}-wal ${file}-shm; echo nonsense >${file}`,
        ),
      end: () =>
        stage.sh(`rm -r ${stage.node.stateDir}; mv ${stage.node.stateDir}.kept ${stage.node.stateDir}`),
    }))
  },
  'the lease store is read-only': (stage) => {
    const { dataDir } = stage.node
    return troubled(stage, () => ({
      options: { wrapper: withMounts(`mount -o bind,ro ${dataDir} ${dataDir}`) },
    }))
  },
  'the attachment store is read-only': (stage) => {
    const { stateDir } = stage.node
    return troubled(stage, () => ({
      options: { wrapper: withMounts(`mount -o bind,ro ${stateDir} ${stateDir}`) },
    }))
  },
  'the lease store is full': (stage) => {
    const { dataDir } = stage.node
    return troubled(stage, () => ({ options: { wrapper: withMounts(full(dataDir)) } }))
  },
  'the attachment store is full': (stage) => {
    const { stateDir } = stage.node
    return troubled(stage, () => ({ options: { wrapper: withMounts(full(stateDir)) } }))
  },
  'the dataDir is a file': async (stage) => {
    const pod = await stage.addPod()
    writeFileSync(stage.node.dataDir, '')
    const { status } = await stage.add(pod, stage.bridgeConfig(FIELDS))
    stage.require(status === 1, 'ADD fails')
  },
}

/** A file system with no byte to spare under the path; what was there is not seen. */
function full(path: string): string {
  return `mount -t tmpfs -o size=64k,mode=700 none ${path}; dd if=/dev/zero of=${path}/filler bs=4k status=none 2>/dev/null || true`
}

export const badStoreCases: readonly Case[] = Object.entries(stories).map(([title, play]) => ({
  title: `bridge refuses a pod when ${title}`,
  play,
  oursOnly: OURS_ONLY,
}))
