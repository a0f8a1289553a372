// `podwire daemon --ui ADDRESS:PORT`: the page of this node. It has ports of its own, which make no store and change
// nothing, so that no call waits for who looks.

import { randomBytes } from 'node:crypto'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { StepLog } from '../../../lib/daemon/step-log.ts'
import { usableConfigs } from '../cni-config.ts'
import { Disk } from '../disk.ts'
import { DEFAULT_CONF_DIR } from '../places.ts'
import type { Checking } from '../recorded-check.ts'
import { hostText, type ListenAddress } from './listen-address.ts'
import { readPageFiles } from './page-files.ts'
import { type PageContent, type PageServer, servePage } from './page-server.ts'
import { tellPod } from './pod-story.ts'
import { takePicture } from './take-picture.ts'

export interface PageOptions extends Omit<Checking, 'configs'> {
  readonly listen: ListenAddress
  readonly version: string
  readonly startedAtMs: number
  /** Root's only. */
  readonly stateDir: string
  readonly steps: StepLog
}

export interface Page {
  /** `http://127.0.0.1:7070/` */
  readonly url: string
  /** File with the link that has the key. */
  readonly linkFile: string
  close(): Promise<void>
}

const LINK_FILE = 'page.url'
const KEY_BYTES = 32
/** Of all who look, one makes the picture in this time. */
const PICTURE_LASTS_MS = 1000
/** After a picture that took so long, so many times that long without one. */
const PAUSES = 5

/** A new key with every start: who listened at the port meanwhile, in the daemon's place, has learnt nothing of use. */
export async function openPage(options: PageOptions): Promise<Page> {
  const key = randomBytes(KEY_BYTES).toString('base64url')
  const server = await servePage({ listen: options.listen, key, content: contentOf(options) })
  const url = `http://${hostText(server.address)}/`
  const linkFile = `${options.stateDir}/${LINK_FILE}`
  await writeLink(linkFile, `${url}#key=${key}\n`, server)
  return {
    url,
    linkFile,
    async close() {
      rmSync(linkFile, { force: true })
      await server.close()
      options.ports.close()
    },
  }
}

/** Whole and closed to others from its first moment on. */
async function writeLink(path: string, text: string, server: PageServer): Promise<void> {
  const temporary = `${path}.${process.pid}`
  try {
    rmSync(temporary, { force: true })
    writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' })
    renameSync(temporary, path)
  } catch (error) {
    await server.close()
    throw error
  }
}

function contentOf(options: PageOptions): PageContent {
  const { ports, version, startedAtMs, findPlugin, path, steps } = options
  const node = { name: hostname(), version, startedAtMs }
  const take = lasting(PICTURE_LASTS_MS, () => takePicture({ ports, node }))
  return {
    files: readPageFiles(),
    node: take,
    pod: (containerId) => {
      const configs = usableConfigs(new Disk(), DEFAULT_CONF_DIR)
      return tellPod({ ports, findPlugin, path, configs }, steps, containerId)
    },
  }
}

/** What takes long to make lasts longer, so that calls have most of the daemon's time whoever looks. */
function lasting<T>(ms: number, make: () => Promise<T>): () => Promise<T> {
  let last: Promise<T> | undefined
  let untilMs = 0
  return () => {
    if (last !== undefined && performance.now() < untilMs) return last
    const beganAt = performance.now()
    untilMs = Number.POSITIVE_INFINITY
    last = make().finally(() => {
      const now = performance.now()
      untilMs = now + Math.max(ms, PAUSES * (now - beganAt))
    })
    return last
  }
}
