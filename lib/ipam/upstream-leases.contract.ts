// What every UpstreamLeases does; run on the real one and on the fake.

import { type Test, test } from 'tap'

import type { UpstreamFile, UpstreamLeases } from './upstream-leases.ts'

export interface UpstreamWorld {
  readonly upstream: UpstreamLeases
  /** What upstream does in its directory of a network. */
  write(network: string, name: string, content: string): void
  /** What a person reads about a network that is ours. */
  note(network: string): string
}

function describe(files: readonly UpstreamFile[]): string[] {
  return files.map(({ name, content }) => `${name} ${content.replace('\r\n', '/')}`)
}

export function upstreamLeasesContract(subject: string, makeWorld: (t: Test) => UpstreamWorld): void {
  test(`${subject} says whose a network is`, async (t) => {
    const { upstream, write } = makeWorld(t)
    write('theirs', '10.1.0.2', 'c1\r\neth0')
    t.equal(upstream.owner('theirs'), 'upstream')
    t.equal(upstream.owner('new'), 'nobody')
    for (const network of ['theirs', 'new']) {
      upstream.claim(network)
      upstream.settle(network, '')
      t.equal(upstream.owner(network), 'podwire', network)
    }
    t.same(upstream.listClaimed(), ['new', 'theirs'])
  })

  test(`${subject} lists what upstream keeps, and changes nothing`, async (t) => {
    const { upstream, write } = makeWorld(t)
    write('net', 'fd00::2', 'c1\r\neth0')
    write('net', '10.1.0.2', 'c1\r\neth0')
    write('net', 'last_reserved_ip.0', '10.1.0.2')
    write('other', '10.1.0.3', 'c2')
    for (const time of ['once', 'twice']) {
      t.same(
        describe(upstream.list('net')),
        ['10.1.0.2 c1/eth0', 'fd00::2 c1/eth0', 'last_reserved_ip.0 10.1.0.2'],
        time,
      )
    }
    t.same(upstream.list('new'), [])
    t.equal(upstream.owner('net'), 'upstream')
    t.ok((upstream.list('other')[0]?.modifiedAtMs ?? 0) > 0)
  })

  test(`${subject} tells what was claimed until it is settled`, async (t) => {
    const { upstream, write, note } = makeWorld(t)
    write('net', '10.1.0.2', 'c1\r\neth0')
    for (const time of ['once', 'twice']) {
      t.same(describe(upstream.claim('net')), ['10.1.0.2 c1/eth0'], time)
      t.same(describe(upstream.list('net')), ['10.1.0.2 c1/eth0'], time)
      t.equal(upstream.owner('net'), 'upstream', 'not ours before our store has it')
    }
    upstream.settle('net', 'took one lease')
    t.same(upstream.claim('net'), [])
    t.same(upstream.list('net'), [])
    t.match(note('net'), /took one lease$/)
  })

  test(`${subject} keeps upstream out of a network that was claimed`, async (t) => {
    const { upstream, write } = makeWorld(t)
    write('net', '10.1.0.2', 'c1\r\neth0')
    upstream.claim('net')
    t.throws(() => write('net', '10.1.0.3', 'c2\r\neth0'))
    upstream.claim('new')
    t.throws(() => write('new', '10.1.0.3', 'c2\r\neth0'))
  })

  test(`${subject} gives a network back`, async (t) => {
    const { upstream, write } = makeWorld(t)
    write('net', '10.1.0.2', 'gone\r\neth0')
    upstream.claim('net')
    upstream.settle('net', '')
    upstream.handBack('net', new Map([['10.1.0.9', 'c9\r\neth0']]))
    t.equal(upstream.owner('net'), 'upstream')
    t.same(describe(upstream.list('net')), ['10.1.0.9 c9/eth0'])
    t.same(upstream.listClaimed(), [])
    write('net', '10.1.0.10', 'c10\r\neth0')
    t.same(describe(upstream.claim('net')), ['10.1.0.10 c10/eth0', '10.1.0.9 c9/eth0'], 'and takes it again')
  })

  test(`${subject} releases what is upstream's where it is, and leaves the network to it`, async (t) => {
    const { upstream, write } = makeWorld(t)
    write('net', '10.1.0.2', 'c1\r\neth0')
    write('net', '10.1.0.3', 'c2\r\neth0')
    const seen: string[] = []
    const pick = (files: readonly UpstreamFile[]) => {
      seen.push(...describe(files))
      return ['10.1.0.2']
    }
    t.same(upstream.release('net', pick), ['10.1.0.2'])
    t.same(seen, ['10.1.0.2 c1/eth0', '10.1.0.3 c2/eth0'])
    t.same(describe(upstream.list('net')), ['10.1.0.3 c2/eth0'])
    t.equal(upstream.owner('net'), 'upstream')
    t.same(upstream.release('net', pick), ['10.1.0.2'], 'what is gone is fine')
    write('net', '10.1.0.4', 'c4\r\neth0')
  })

  test(`${subject} releases nothing of a network that is ours or on its way to us`, async (t) => {
    const { upstream, write } = makeWorld(t)
    const pick = () => t.fail('nothing is asked')
    write('net', '10.1.0.2', 'c1\r\neth0')
    upstream.claim('net')
    t.equal(
      upstream.release('net', () => [String(pick())]),
      undefined,
    )
    upstream.settle('net', '')
    t.equal(
      upstream.release('net', () => [String(pick())]),
      undefined,
    )
    t.equal(
      upstream.release('new', () => [String(pick())]),
      undefined,
    )
  })
}
