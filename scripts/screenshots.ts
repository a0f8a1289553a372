// `npm run screenshots`: the pictures of the daemon's page in the documents (docs/page/*.png), taken of a throw-away node
// with real pods. As root, with chromium, after `npm run build`.

import { execFileSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { NO_CHROMIUM, openBrowser } from '../conformance/harness/browser.ts'
import { PageScene } from '../conformance/harness/page-scene.ts'

const OUTPUT = 'docs/page'
const MANY = 500

/** The page shows it; only a namespace of our own is renamed. */
function nameNode(): void {
  if (readlinkSync('/proc/self/ns/uts') === readlinkSync(`/proc/${process.ppid}/ns/uts`))
    throw new Error('this would rename the machine; run it by npm run screenshots')
  execFileSync('hostname', ['node-1'])
}

interface Shot {
  readonly name: string
  readonly colorScheme: 'light' | 'dark'
  readonly width: number
  readonly height?: number
  /** Leads to what is shown. */
  readonly act?: (page: Page) => Promise<void>
}

async function shoot(
  browser: Browser,
  scene: PageScene,
  { name, colorScheme, width, height = 900, act }: Shot,
) {
  const viewport = { width, height }
  const page = await browser.newPage({ colorScheme, viewport, reducedMotion: 'reduce' })
  await page.goto(scene.link)
  await page.locator('.ports button').first().waitFor()
  await act?.(page)
  await page.screenshot({ path: `${OUTPUT}/${name}.png`, fullPage: act === undefined })
  await page.close()
}

async function openStory(page: Page): Promise<void> {
  await page.getByRole('button', { name: /^shop\/web-0/ }).click()
  await page.getByText('CHECK: all is as ADD made it').waitFor()
}

async function shootFew(): Promise<void> {
  const scene = await PageScene.open(['10.244.1.0/24', 'fd00:10:244:1::/64'])
  try {
    const tcp = (hostPort: number, containerPort: number) => ({
      hostPort,
      containerPort,
      protocol: 'tcp' as const,
    })
    await scene.attach('91bd77e05b13', { namespace: 'shop', name: 'api-7c9d' })
    await scene.attach('4f3c21aa90de', { namespace: 'shop', name: 'web-0' }, { hostPorts: [tcp(8080, 80)] })
    await scene.attach('e2a9c1704d55', { namespace: 'shop', name: 'job-1' })
    await scene.attach('c07e5a12f3b8', { namespace: 'bank', name: 'db-0' }, { hostPorts: [tcp(5432, 5432)] })
    await scene.detach('e2a9c1704d55')
    const browser = await openBrowser(scene.node)
    await shoot(browser, scene, { name: 'pods-light', colorScheme: 'light', width: 1200 })
    await shoot(browser, scene, { name: 'pods-dark', colorScheme: 'dark', width: 1200 })
    await shoot(browser, scene, {
      name: 'story',
      colorScheme: 'light',
      width: 1400,
      height: 1100,
      act: openStory,
    })
    await shoot(browser, scene, {
      name: 'narrow',
      colorScheme: 'dark',
      width: 420,
      height: 900,
      act: openStory,
    })
    await browser.close()
  } finally {
    await scene.close()
  }
}

async function shootMany(): Promise<void> {
  const scene = await PageScene.open(['10.244.0.0/22'])
  try {
    const names = Array.from({ length: MANY }, (_, i) => {
      return [`c${i}`, { namespace: ['bank', 'shop'][i % 2] ?? '', name: `web-${i}` }] as const
    })
    await scene.attachMany(new Map(names))
    const browser = await openBrowser(scene.node)
    await shoot(browser, scene, { name: 'many', colorScheme: 'light', width: 1200 })
    await browser.close()
  } finally {
    await scene.close()
  }
}

if (NO_CHROMIUM) throw new Error(NO_CHROMIUM)
nameNode()
await shootFew()
await shootMany()
