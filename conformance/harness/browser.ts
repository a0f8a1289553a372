// Chromium on a node of the test's: in its network namespace, where the daemon's page is.

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import type { TestNode } from './node.ts'

const PROGRAM = '/usr/bin/chromium'

/** For tests to say why they are skipped. */
export const NO_CHROMIUM = existsSync(PROGRAM)
  ? false
  : 'no chromium here; on Debian: apt-get install chromium'

/** Speaks to the browser over a pipe: nothing but the node's own network is used. Names in `.example` are the node's. */
export function openBrowser(node: TestNode): Promise<Browser> {
  const executablePath = join(node.directory, 'chromium')
  writeFileSync(executablePath, `#!/bin/sh\nexec ip netns exec ${node.name} ${PROGRAM} "$@"\n`, {
    mode: 0o755,
  })
  // Root has no sandbox; there is no graphics card. What is loaded is our own page.
  const args = ['--no-sandbox', '--disable-gpu', '--host-resolver-rules=MAP *.example 127.0.0.1']
  return chromium.launch({ executablePath, args })
}
