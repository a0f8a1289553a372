import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { makeNamespace } from '../testing/netns.ts'
import { sysctlContract } from './sysctl.contract.ts'
import { ProcSysctl } from './sysctl.ts'

const PARAMETERS = readdirSync('/proc/sys/net/ipv4/conf/all')

for (const [subject, keepsOpen] of [
  ['ProcSysctl', false],
  ['ProcSysctl that keeps files open', true],
] as const) {
  sysctlContract(subject, (t) => {
    const namespace = makeNamespace(t, 'sysctl')
    const sysctl = new ProcSysctl(namespace.netns, { keepsOpen })
    t.teardown(() => sysctl.close())
    return {
      sysctl,
      addLink: (name) => void namespace.run('ip', 'link', 'add', 'name', name, 'type', 'bridge'),
      renameLink: (name, to) => void namespace.run('ip', 'link', 'set', 'dev', name, 'name', to),
      removeLink: (name) => void namespace.run('ip', 'link', 'del', 'dev', name),
    }
  })
}

test('ProcSysctl that keeps files open sees what others set, and what has come in place of what is gone', async (t) => {
  const namespace = makeNamespace(t, 'sysctl')
  const sysctl = new ProcSysctl(namespace.netns, { keepsOpen: true })
  const key = 'ipv6/conf/br0/accept_ra'
  const files = () => readdirSync('/proc/self/fd').length
  t.strictSame(sysctl.find(key), undefined)
  const before = files()
  namespace.run('ip', 'link', 'add', 'name', 'br0', 'type', 'bridge')
  t.equal(sysctl.find(key), '1')
  namespace.run('sh', '-c', `echo 2 >/proc/sys/net/${key}`)
  t.equal(sysctl.find(key), '2')
  namespace.run('ip', 'link', 'del', 'dev', 'br0')
  namespace.run('ip', 'link', 'add', 'name', 'br0', 'type', 'bridge')
  t.equal(sysctl.find(key), '1')
  for (let nth = 0; nth < 40; nth++)
    sysctl.find(`ipv4/conf/${nth % 2 ? 'all' : 'br0'}/${PARAMETERS[nth % 20]}`)
  t.ok(files() <= before + 16, 'a bounded number')
  sysctl.close()
  t.equal(files(), before)
})

test('ProcSysctl tells what cannot be read alike, whether or not it keeps files open', async (t) => {
  const namespace = makeNamespace(t, 'sysctl')
  const texts = [false, true].map((keepsOpen) => {
    const sysctl = new ProcSysctl(namespace.netns, { keepsOpen })
    t.teardown(() => sysctl.close())
    // One that nothing was written to yet, and a folder.
    return ['ipv6/conf/all/stable_secret', 'ipv6/conf'].map((key) => {
      try {
        return sysctl.find(key)
      } catch (error) {
        return String(error)
      }
    })
  })
  t.match(texts[0], [
    /^SysctlError: .*: EIO: i\/o error$/,
    /^SysctlError: .*: EISDIR: illegal operation on a directory$/,
  ])
  t.strictSame(texts[1], texts[0])
})

test('ProcSysctl speaks of its namespace and of no other', async (t) => {
  const [a, b] = [makeNamespace(t, 'a'), makeNamespace(t, 'b')]
  const key = 'ipv6/conf/all/proxy_ndp'
  const before = readFileSync(`/proc/sys/net/${key}`, 'utf8')
  new ProcSysctl(a.netns).set({ key, value: '1' })
  t.equal(a.run('cat', `/proc/sys/net/${key}`), '1\n')
  t.equal(b.run('cat', `/proc/sys/net/${key}`), '0\n')
  t.equal(readFileSync(`/proc/sys/net/${key}`, 'utf8'), before, 'nor of the node’s')
})

test('ProcSysctl writes a value of any length', async (t) => {
  const namespace = makeNamespace(t, 'sysctl')
  const sysctl = new ProcSysctl(namespace.netns)
  const key = 'ipv4/ip_local_reserved_ports'
  const value = Array.from({ length: 400 }, (_, nth) => 1000 + 2 * nth).join(',')
  sysctl.set({ key, value })
  t.equal(namespace.run('cat', `/proc/sys/net/${key}`).trim(), value)
})

test('ProcSysctl writes nothing where a name has a NUL', async (t) => {
  const sysctl = new ProcSysctl(makeNamespace(t, 'sysctl').netns)
  const key = 'ipv4/conf/all/arp_notify'
  t.throws(() => sysctl.set({ key: `${key}\0.other`, value: '1', blind: true }), { code: 'EINVAL' })
  t.equal(sysctl.find(key), '0')
})

test('ProcSysctl refuses what is no parameter', async (t) => {
  const sysctl = new ProcSysctl(makeNamespace(t, 'sysctl').netns)
  t.throws(() => sysctl.find('ipv4'), { code: 'EISDIR', message: /^read sysctl net\/ipv4: EISDIR: / })
  const setting = { key: 'ipv4/conf/all/mc_forwarding', value: '1' }
  t.throws(() => sysctl.set(setting), { code: 'EACCES', message: /EACCES: permission denied$/ }, 'read-only')
})

test('ProcSysctl leaves alone what is so already', async (t) => {
  const namespace = makeNamespace(t, 'sysctl')
  const key = 'ipv4/conf/all/mc_forwarding' // read-only: writing would fail
  new ProcSysctl(namespace.netns).set({ key, value: '0' })
  t.throws(() => namespace.netns.enter(() => writeFileSync(`/proc/sys/net/${key}`, '0')), { code: 'EACCES' })
})
