// The daemon's page in a browser, on a node with pods: what is drawn is what the kernel and the stores have, and stays so.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Locator, Page } from 'playwright-core'
import { t as root, type Test, test } from 'tap'
import { NO_CHROMIUM, openBrowser } from './harness/browser.ts'
import { podwire } from './harness/contestant.ts'
import { shimmed, TestDaemon } from './harness/daemon.ts'
import { TestNode } from './harness/node.ts'
import { ipJson, PageScene } from './harness/page-scene.ts'
import { DEADLINE_MS } from './harness/play-area.ts'
import { run } from './harness/process.ts'
import { isLong } from './robustness/form.ts'

root.setTimeout(DEADLINE_MS)
const NEEDS_BROWSER = { timeout: DEADLINE_MS, skip: NO_CHROMIUM }

interface Shared {
  readonly scene: PageScene
  readonly browser: Browser
}

let shared: Promise<Shared> | undefined

/** A node with two pods, one by the daemon and one by a process of its own, and a browser: what takes seconds, once. */
function share(): Promise<Shared> {
  shared ??= openShared()
  return shared
}

async function openShared(): Promise<Shared> {
  const scene = await PageScene.open(['10.244.0.0/22', 'fd00:10:244:1::/64'])
  root.teardown(() => scene.close())
  const hostPorts = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] as const
  await scene.attach('c1', { namespace: 'shop', name: 'web-0' }, { hostPorts })
  const alone = { PODWIRE_NO_DAEMON: '1' }
  await scene.attach('c2', { namespace: 'bank', name: 'db-0' }, { environment: alone })
  const browser = await openBrowser(scene.node)
  root.teardown(() => browser.close())
  return { scene, browser }
}

interface Shown {
  readonly page: Page
  /** What went wrong in the browser: errors, and what its policy forbade. */
  readonly complaints: string[]
  /** Methods and addresses of all that it asked for. */
  readonly requests: string[]
}

async function show(t: Test, { scene, browser }: Shared): Promise<Shown> {
  const page = await browser.newPage({ reducedMotion: 'reduce' })
  t.teardown(() => page.close())
  const [complaints, requests]: [string[], string[]] = [[], []]
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => requests.push(`${request.method()} ${request.url()}`))
  await page.goto(scene.link)
  await page.getByRole('heading', { name: 'Bridge cni0' }).waitFor()
  return { page, complaints, requests }
}

/** What a pod's button says, by the kernel: its addresses from inside, its wire by the index of the other end. */
async function kernelLabel({ node, pods }: PageScene, label: string, name: string): Promise<string> {
  const [inside = {}] = await ipJson(pods.get(label)?.name ?? '', 'addr', 'show', 'dev', 'eth0')
  const infos = inside['addr_info'] as readonly { scope: string; local: string }[]
  const addresses = infos.filter(({ scope }) => scope === 'global').map(({ local }) => local)
  const wire = (await ipJson(node.name, 'link')).find(({ ifindex }) => ifindex === inside['link_index'])
  return `${name}, eth0 ${addresses.join(' ')}, on ${wire?.['ifname']}`
}

async function nftKeys(node: TestNode, map: string): Promise<string[]> {
  interface Listed {
    readonly nftables: readonly {
      readonly map?: { readonly elem?: readonly [{ elem: { val: string } } | string][] }
    }[]
  }
  const { nftables } = JSON.parse(
    await node.must('nft', '-j', 'list', 'map', 'inet', 'podwire', map),
  ) as Listed
  const elements = nftables.flatMap((one) => one.map?.elem ?? [])
  return elements.map(([key]) => (typeof key === 'string' ? key : key.elem.val))
}

function podsOn(page: Page): Locator {
  return page.getByRole('list', { name: 'Pods on cni0' }).getByRole('button')
}

function textsOf(all: Locator): Promise<string[]> {
  return all.evaluateAll((elements) => elements.map(({ textContent }) => textContent ?? ''))
}

test('the page draws what the kernel and the stores have', NEEDS_BROWSER, async (t) => {
  const { scene, browser } = await share()
  const { page, complaints, requests } = await show(t, { scene, browser })
  const { node } = scene
  const labels = await podsOn(page).evaluateAll((all) => all.map((one) => one.getAttribute('aria-label')))
  t.same(labels, [await kernelLabel(scene, 'c2', 'bank/db-0'), await kernelLabel(scene, 'c1', 'shop/web-0')])

  const [eth0 = {}] = await ipJson(node.name, 'addr', 'show', 'dev', 'eth0')
  const [card = ''] = await textsOf(page.locator('.card', { hasText: 'eth0' }))
  const infos = eth0['addr_info'] as { local: string; prefixlen: number; scope: string }[]
  for (const { local, prefixlen } of infos.filter(({ scope }) => scope === 'global'))
    t.match(card, `${local}/${prefixlen}`)
  t.match(card, String(eth0['address']))
  t.match(card, 'default route via 192.0.2.2')
  const [bridge = {}] = await ipJson(node.name, 'link', 'show', 'dev', 'cni0')
  t.match(await textsOf(page.locator('.bridge-facts')), [String(bridge['address'])])

  const masqueraded = [
    ...(await nftKeys(node, 'masquerade_ipv4')),
    ...(await nftKeys(node, 'masquerade_ipv6')),
  ]
  t.equal(masqueraded.length, 4)
  t.same((await textsOf(page.locator('.tags li'))).sort(), masqueraded.sort())
  t.same((await textsOf(page.getByRole('table', { name: 'Host ports' }).getByRole('row'))).slice(1), [
    '8080/tcp10.244.0.2:80shop/web-0',
    '8080/tcp[fd00:10:244:1::2]:80shop/web-0',
  ])
  t.equal(await page.locator('.pool rect.is-held').count(), podwire.listLeases(node.dataDir).length)

  const { origin } = new URL(scene.link)
  t.same(
    requests.filter((one) => !one.startsWith(`GET ${origin}/`)),
    [],
    'it asks nobody else, and only asks',
  )
  t.equal(page.url(), `${origin}/`, 'the key is not in the address any more')
  t.same(complaints, [])
})

test('the page follows what happens on the node', NEEDS_BROWSER, async (t) => {
  const { scene, browser } = await share()
  const { page, complaints } = await show(t, { scene, browser })
  await scene.attach('c3', { namespace: 'shop', name: 'api-0' })
  await page.getByRole('button', { name: await kernelLabel(scene, 'c3', 'shop/api-0') }).waitFor()
  t.equal(await page.locator('.pool rect.is-held').count(), 6)
  await page.getByRole('status').filter({ hasText: 'shop/api-0 attached' }).waitFor({ state: 'attached' })

  const links = await ipJson(scene.node.name, 'link', 'show', 'type', 'veth')
  const wire = String(links.find(({ ifalias }) => ifalias === 'pods c3 eth0')?.['ifname'])
  await scene.node.must('ip', 'link', 'set', wire, 'down')
  await page.getByRole('button', { name: `${wire} is down` }).waitFor()
  await scene.detach('c3')
  await podsOn(page).nth(2).waitFor({ state: 'detached' })
  t.equal(await page.locator('.pool rect.is-released').count(), 2)

  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByText('paused').waitFor()
  await scene.attach('c4', { namespace: 'shop', name: '<i>late</i>' })
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('button', { name: /^shop\/<i>late<\/i>,/ }).waitFor()
  t.equal(await page.locator('i').count(), 0, 'a name is text')
  await scene.detach('c4')
  t.same(complaints, [])
})

test('a pod’s story is that of its ADD, as far as the daemon has seen it', NEEDS_BROWSER, async (t) => {
  const { scene, browser } = await share()
  const { page, complaints } = await show(t, { scene, browser })
  await page.getByRole('button', { name: /^shop\/web-0/ }).click()
  const story = page.getByRole('complementary', { name: 'shop/web-0' })
  await story.getByText('CHECK: all is as ADD made it').waitFor()
  const [, wire = ''] = /, on (\w+)$/.exec(await kernelLabel(scene, 'c1', '')) ?? []
  const path = scene.pods.get('c1')?.path
  const commands = (await textsOf(story.locator('code'))).join('\n')
  for (const pattern of [
    new RegExp(`^ip link add name ${wire} .* master cni0 type veth peer name eth0 .* netns ${path}$`, 'm'),
    /^ip addr add 10\.244\.0\.2\/22 dev eth0$/m,
    /^nft add element inet podwire masquerade_ipv4 /m,
    /^nft create element inet podwire hostport_ipv4 /m,
  ])
    t.match(commands, pattern)
  t.match(await textsOf(story.locator('h4')), [/^cni-bridge \d+\.\d+ ms$/, /^cni-portmap \d+\.\d+ ms$/])
  await story
    .getByText('Opens the ports of the node that are the pod’s (refused: the table is not all there yet)')
    .waitFor()
  const shown = await story.locator('.step').count()
  await story.getByRole('checkbox').first().check()
  t.ok((await story.locator('.step').count()) > shown, 'looks are steps, too')

  await scene.node.must('ip', 'link', 'set', wire, 'mtu', '1400')
  await story.locator('tr.differs', { hasText: '1400' }).waitFor()
  await scene.node.must('ip', 'link', 'set', wire, 'mtu', '1500')
  await page.keyboard.press('Escape')
  await story.waitFor({ state: 'detached' })

  await page.getByRole('button', { name: /^bank\/db-0/ }).click()
  await page.getByText('Not seen by this daemon').waitFor()
  t.same(complaints, [])
})

test(
  'the page is gone through by keyboard, and tells a screen reader all of it',
  NEEDS_BROWSER,
  async (t) => {
    const { page, complaints } = await show(t, await share())
    // In the browser.
    const focused = () =>
      page.evaluate<string>(`[document.activeElement].map((one) => one.ariaLabel ?? one.textContent).join()`)
    const press = async (key: string) => {
      await page.keyboard.press(key)
      return (await focused()).split(',')[0]
    }
    t.equal(await press('Tab'), 'Pause')
    t.match(await press('Tab'), /^Node/, 'the host ports, which may have to be scrolled')
    t.equal(await press('Tab'), 'bank/db-0')
    t.equal(await press('ArrowRight'), 'shop/web-0')
    t.equal(await press('ArrowRight'), 'shop/web-0', 'there is none beyond the last')
    t.equal(await press('Home'), 'bank/db-0')
    t.equal(await press('End'), 'shop/web-0')
    t.equal(await page.locator('.tags .is-marked').count(), 2, 'what is its own is marked')
    await page.keyboard.press('Enter')
    await page.waitForFunction(`document.activeElement.tagName === 'H2'`)
    t.equal(await focused(), 'shop/web-0', 'the heading of its story')
    t.equal(await press('Tab'), 'Close')
    await page.keyboard.press('Escape')
    await page.waitForFunction(`document.activeElement.ariaLabel?.startsWith('shop/web-0,')`)
    t.equal(await press('Tab'), 'All pods as a table', 'a bridge is one stop')
    await page.keyboard.press('Enter')
    const table = page.getByRole('table', { name: 'All pods of this node' })
    await table.waitFor()
    t.equal(await table.getByRole('row').count(), 3)

    t.same(await textsOf(page.getByRole('heading', { level: 2 })), [
      'The node’s interfaces',
      'In and out of the node',
      'Bridge cni0',
      'Addresses',
    ])
    const tree = await page.locator('body').ariaSnapshot()
    const goneTo = /^\s*- (?:button|img|table|region|link|searchbox|checkbox|complementary)(?::|$| \[)/
    t.same(
      tree.split('\n').filter((line) => goneTo.test(line)),
      [],
      'whatever one can go to has a name',
    )
    for (const pattern of [
      /- main:/,
      /- region "Bridge cni0":/,
      /- list "Pods on cni0":/,
      /- button "shop\/web-0, eth0 10\.244\.0\.2 fd00:10:244:1::2, on veth[0-9a-f]{8}"/,
      /img "Map of 10\.244\.0\.1-10\.244\.3\.254: 2 of 1,021 held"/,
      /- table "Host ports":/,
    ])
      t.match(tree, pattern)
    t.same(complaints, [])
  },
)

test('the page goes by what its reader prefers', NEEDS_BROWSER, async (t) => {
  const { page } = await show(t, await share())
  interface Look {
    readonly animation: string
    readonly background: string
    readonly width: number
  }
  // In the browser.
  const look = () =>
    page.evaluate<Look>(`({
      animation: getComputedStyle(document.querySelector('.ports > li')).animationName,
      background: getComputedStyle(document.body).backgroundColor,
      width: document.body.scrollWidth,
    })`)
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'no-preference' })
  const light = await look()
  t.equal(light.animation, 'arrive')
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
  const dark = await look()
  t.equal(dark.animation, 'none')
  t.not(dark.background, light.background)
  await page.setViewportSize({ width: 360, height: 640 })
  t.equal((await look()).width, 360, 'a narrow window is not scrolled sideways')
})

test('a page without the key of this daemon shows nothing of the node', NEEDS_BROWSER, async (t) => {
  const { scene, browser } = await share()
  const { origin } = new URL(scene.link)
  const page = await browser.newPage()
  t.teardown(() => page.close())
  for (const link of [`${origin}/`, `${origin}/#key=${'x'.repeat(43)}`]) {
    await page.goto(link)
    await page.reload()
    await page.getByText('/run/podwire/page.url').waitFor()
    if (link.includes('key')) await page.getByText('This key is not, or no longer, the daemon’s.').waitFor()
    t.notMatch(await page.content(), /10\.244|shop|eth0/)
  }
})

test('another web site in the same browser gets nothing', NEEDS_BROWSER, async (t) => {
  const { scene, browser } = await share()
  const { origin, port } = new URL(scene.link)
  const page = await browser.newPage()
  t.teardown(() => page.close())
  const ends: (number | string)[] = []
  page.on('response', (response) => response.url().startsWith(origin) && ends.push(response.status()))
  page.on('requestfailed', (request) => request.url().startsWith(origin) && ends.push('refused'))
  const body = `<script src="${origin}/page.js"></script><img src="${origin}/icon.svg"><iframe src="${origin}/"></iframe>`
  await page.route('http://evil.example/', (route) => route.fulfill({ contentType: 'text/html', body }))
  await page.goto('http://evil.example/')
  const ask = (path: string) =>
    page.evaluate<string>(`fetch('${origin}${path}').then((answer) => answer.text(), () => 'refused')`)
  t.same([await ask('/'), await ask('/api/node')], ['refused', 'refused'])
  t.ok(ends.length >= 5, `it has tried: ${ends.join()}`)
  t.same(
    ends.filter((end) => end !== 403 && end !== 'refused'),
    [],
  )

  const rebound = await page.goto(`http://rebound.example:${port}/`)
  t.equal(rebound?.status(), 403, 'a name that leads to 127.0.0.1 is not the page’s')
  t.match(await page.content(), /this page is not at that host/)
})

const MANY = isLong ? 500 : 50

test(`the page is as good with ${MANY} pods`, NEEDS_BROWSER, async (t) => {
  const { scene, browser } = await share()
  const labels = Array.from({ length: MANY }, (_, i) => `m${i}`)
  await scene.attachMany(new Map(labels.map((label, i) => [label, { namespace: 'many', name: `web-${i}` }])))
  const { page, complaints } = await show(t, { scene, browser })
  const pods = podsOn(page)
  t.equal(await pods.count(), MANY + 2)
  const label = await kernelLabel(scene, 'm41', 'many/web-41')
  const wire = label.split(' ').at(-1) ?? ''
  t.equal(await page.locator('.ports button[tabindex="0"]').count(), 1)
  await page.getByRole('searchbox', { name: 'Find a pod' }).fill(wire)
  await page.getByText('1 found', { exact: true }).waitFor()
  t.equal(await page.locator('.ports > li:not(.is-dim)').count(), 1)
  await page.getByRole('button', { name: label }).click()
  const story = page.getByRole('complementary', { name: 'many/web-41' })
  await story.getByText('CHECK: all is as ADD made it').waitFor()
  await page.keyboard.press('Escape')
  await pods.first().focus()
  await page.keyboard.press('ArrowDown')
  const [first, below] = await Promise.all([pods.first().boundingBox(), page.locator(':focus').boundingBox()])
  t.ok(first && below && below.y > first.y && below.x === first.x, 'down is down')
  t.same(complaints, [])
})

/** A node whose daemon is begun by the test. */
async function openNode(t: Test): Promise<{ node: TestNode; linkFile: string }> {
  const node = await TestNode.create({ ...podwire, directory: shimmed().directory })
  t.teardown(() => node.remove())
  return { node, linkFile: join(node.stateDir, 'page.url') }
}

test('the link to the page is root’s, is as long as the daemon, and has another key each time', {
  timeout: DEADLINE_MS,
}, async (t) => {
  const { node, linkFile } = await openNode(t)
  const keys = new Set<string>()
  for (let i = 0; i < 2; i++) {
    const daemon = await TestDaemon.start(node, { more: ['--ui', '127.0.0.1:0'] })
    t.equal(statSync(linkFile).mode & 0o777, 0o600)
    const [, key = ''] =
      /^http:\/\/127\.0\.0\.1:\d+\/#key=([\w-]{43})\n$/.exec(readFileSync(linkFile, 'utf8')) ?? []
    keys.add(key)
    const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'cat', linkFile]
    t.not((await run(asNobody)).status, 0, 'nobody cannot read it')
    t.notMatch(daemon.log, key, 'it is not in the log, which more than root may read')
    t.equal(await daemon.end('SIGTERM'), 0)
    t.equal(statSync(linkFile, { throwIfNoEntry: false }), undefined)
  }
  t.equal(keys.size, 2)
  t.notOk(keys.has(''))
})

test('a daemon whose page’s port is somebody’s serves pods all the same, and says so', {
  timeout: DEADLINE_MS,
}, async (t) => {
  const { node, linkFile } = await openNode(t)
  const listen = `require('net').createServer().listen(7070, '127.0.0.1', () => console.log('listening'))`
  const squatter = spawn('ip', ['netns', 'exec', node.name, process.execPath, '-e', listen])
  t.teardown(() => squatter.kill('SIGKILL'))
  await once(squatter.stdout, 'data')
  const daemon = await TestDaemon.start(node, { more: ['--ui', '127.0.0.1:7070'] })
  t.match(daemon.log, /EADDRINUSE.*the page is not served/)
  t.equal(statSync(linkFile, { throwIfNoEntry: false }), undefined)
  t.equal(await node.must('curl', '-s', '--unix-socket', node.socketPath, 'http://podwire/readyz'), 'ok\n')
  t.equal(await daemon.end('SIGTERM'), 0)
})

test('a daemon is not begun with a page that others could reach', async (t) => {
  const program = join(podwire.directory, 'podwire')
  for (const [address, why] of [
    ['0.0.0.0:7070', /others than this machine can reach it/],
    ['localhost', /no address with a port/],
  ] as const) {
    const { status, stderr } = await run([
      program,
      'daemon',
      '--socket',
      '/nonexistent/socket',
      '--ui',
      address,
    ])
    t.equal(status, 2)
    t.match(stderr, why)
  }
})
