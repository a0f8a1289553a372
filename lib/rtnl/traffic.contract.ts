// What holds for the traffic control of the port `Rtnl`, on the real kernel and on the fake one.

import { type Test, test } from 'tap'
import type { KernelFeature } from './kernel-feature.ts'
import type { IfIndex } from './link.ts'
import type { Qdisc } from './qdisc.ts'
import type { Change, Rtnl } from './rtnl.ts'

const NEEDED: readonly KernelFeature[] = ['link ifb', 'qdisc tbf', 'qdisc ingress', 'action mirred']
const nowhere = 99 as IfIndex

const bucket: Qdisc = { kind: 'tbf', rateBytesPerSecond: 1_250_000, burstBytes: 20_000, limitBytes: 51_250 }
const ifb = (name: string, more: object = {}): Change => ({
  change: 'create link',
  link: { kind: 'ifb', name, ...more },
})
const addQdisc = (dev: IfIndex, qdisc: Qdisc): Change => ({ change: 'add qdisc', dev, qdisc })
const redirect = (dev: IfIndex, to: IfIndex): Change => ({ change: 'add redirect', redirect: { dev, to } })

/** @param makeWorld  one fresh namespace */
export function trafficContract(subject: string, makeWorld: (t: Test) => Rtnl | Promise<Rtnl>): void {
  const holds = (name: string, check: (t: Test, rtnl: Rtnl) => Promise<unknown>) =>
    test(`${subject} ${name}`, async (t) => {
      const rtnl = await makeWorld(t)
      for (const feature of NEEDED)
        if (!(await rtnl.hasFeature(feature))) {
          t.pass(feature, { skip: 'this kernel does not have it' })
          return
        }
      await check(t, rtnl)
    })

  const index = async (rtnl: Rtnl, name: string) => (await rtnl.getLink(name)).index
  /** A pair, of which `a` is looked at. */
  const makePair = async (rtnl: Rtnl) => {
    const link = { kind: 'veth', name: 'a', peer: { name: 'b' }, up: true } as const
    await rtnl.apply({ change: 'create link', link })
    return index(rtnl, 'a')
  }

  holds('tells which kinds it does not know, and leaves nothing behind', async (t, rtnl) => {
    for (const what of ['link', 'qdisc', 'action'] as const)
      t.equal(await rtnl.hasFeature(`${what} nonesuch`), false, what)
    t.strictSame(await rtnl.listQdiscs(await index(rtnl, 'lo')), [])
    t.strictSame(
      (await rtnl.listLinks()).map(({ name }) => name),
      ['lo'],
    )
  })

  holds('creates an intermediate link', async (t, rtnl) => {
    await rtnl.apply(ifb('ifb0', { mac: '02:00:00:00:00:07', mtu: 9000, up: true }))
    t.match(await rtnl.getLink('ifb0'), {
      kind: 'ifb',
      mac: '02:00:00:00:00:07',
      mtu: 9000,
      up: true,
      lowerUp: true,
      operstate: 'UNKNOWN',
    })
    await t.rejects(rtnl.apply(ifb('ifb0')), { code: 'EEXIST' })
    await rtnl.apply({ change: 'delete link', link: 'ifb0' })
    t.equal(await rtnl.findLink('ifb0'), undefined)
  })

  holds('shows a bucket as it was made', async (t, rtnl) => {
    const dev = await makePair(rtnl)
    t.strictSame(await rtnl.listQdiscs(dev), [], 'nothing of the kernel’s own')
    await rtnl.apply(addQdisc(dev, bucket))
    const tbf = { rateBytesPerSecond: 1_250_000, limitBytes: 51_250, bufferTicks: 250_000 }
    t.strictSame(await rtnl.listQdiscs(dev), [{ dev, kind: 'tbf', parent: 'root', tbf }])
    await t.rejects(rtnl.apply(addQdisc(dev, bucket)), { code: 'EEXIST' })
    await rtnl.apply({ change: 'delete qdisc', dev, parent: 'root' })
    t.strictSame(await rtnl.listQdiscs(dev), [])
  })

  // Rate and burst, and the ticks that the kernel makes of them: also where they do not fit into 32 bits.
  const BUCKETS: readonly (readonly [rate: number, burst: number, ticks: number])[] = [
    [1, 1, 15_625_000],
    [1, 2000, 1_185_228_928],
    [1_250_000, 536_870_911, 2_415_919_091],
    [12_500_000, 1514, 1892],
    [4_294_967_295, 65_536, 238],
    [5_000_000_000, 4_294_967_295, 13_421_772],
    [1_000_000_000_000, 4_294_967_295, 67_108],
  ]

  holds('counts the burst of a bucket as the kernel does', async (t, rtnl) => {
    const dev = await makePair(rtnl)
    for (const [rateBytesPerSecond, burstBytes, bufferTicks] of BUCKETS) {
      const qdisc = { kind: 'tbf', rateBytesPerSecond, burstBytes, limitBytes: 4_294_967_295 } as const
      await rtnl.apply(addQdisc(dev, qdisc))
      const [found] = await rtnl.listQdiscs(dev)
      t.strictSame(
        found?.tbf,
        { rateBytesPerSecond, limitBytes: 4_294_967_295, bufferTicks },
        `${burstBytes} at ${rateBytesPerSecond}`,
      )
      await rtnl.apply({ change: 'delete qdisc', dev, parent: 'root' })
    }
  })

  holds('sends what a link receives to another', async (t, rtnl) => {
    const dev = await makePair(rtnl)
    await rtnl.apply(ifb('ifb0', { up: true }))
    const to = await index(rtnl, 'ifb0')
    t.strictSame(await rtnl.listFilters(dev), [])
    await t.rejects(rtnl.apply(redirect(dev, to)), { code: 'EINVAL' }, 'there is no place for it')
    await rtnl.apply(addQdisc(dev, { kind: 'ingress' }), redirect(dev, to))
    t.strictSame(await rtnl.listQdiscs(dev), [{ dev, kind: 'ingress', parent: 'ingress' }])
    t.strictSame(await rtnl.listFilters(dev), [{ dev, kind: 'u32', to }])
    t.strictSame(await rtnl.listFilters(to), [])
    await rtnl.apply({ change: 'delete link', link: to })
    t.strictSame(await rtnl.listFilters(dev), [{ dev, kind: 'u32', to: 0 }], 'to nowhere')
    await rtnl.apply({ change: 'delete qdisc', dev, parent: 'ingress' })
    t.strictSame([await rtnl.listQdiscs(dev), await rtnl.listFilters(dev)], [[], []])
  })

  const remove = (dev: IfIndex, parent: 'root' | 'ingress'): Change => ({
    change: 'delete qdisc',
    dev,
    parent,
  })
  const REFUSED: readonly (readonly [what: string, change: (dev: IfIndex) => Change, error: string])[] = [
    ['a bucket of nothing', (dev) => addQdisc(dev, { ...bucket, burstBytes: 0 } as Qdisc), 'EINVAL'],
    ['a bucket for nobody', () => addQdisc(nowhere, bucket), 'ENODEV'],
    ['to take away what is not there', (dev) => remove(dev, 'root'), 'ENOENT'],
    ['to take away no ingress', (dev) => remove(dev, 'ingress'), 'ENOENT'],
    ['to take away from nobody', () => remove(nowhere, 'root'), 'ENODEV'],
    ['a redirect for nobody', () => redirect(nowhere, 1 as IfIndex), 'ENODEV'],
  ]

  holds('refuses traffic control that cannot be', async (t, rtnl) => {
    const dev = await makePair(rtnl)
    for (const [what, change, code] of REFUSED) await t.rejects(rtnl.apply(change(dev)), { code }, what)
    await rtnl.apply(addQdisc(dev, { kind: 'ingress' }))
    await t.rejects(rtnl.apply(redirect(dev, nowhere)), { code: 'ENODEV' })
    await t.rejects(rtnl.listQdiscs(nowhere), { code: 'ENODEV' })
    await t.rejects(rtnl.listFilters(nowhere), { code: 'ENODEV' })
    t.strictSame(await rtnl.listFilters(dev), [])
  })
}
