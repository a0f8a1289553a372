// A node without Node.js: the built executable and its links, copied alone into an empty root with nothing but the C
// and C++ runtime libraries, called with no PATH, wire a pod and take it away.

import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'tap'
import { makeNamespace } from '../lib/testing/netns.ts'

const BIN = join(import.meta.dirname, '../dist/bin')
const CNI = '/opt/cni/bin'

const NETCONF = {
  cniVersion: '1.0.0',
  name: 'net',
  type: 'cni-bridge',
  isDefaultGateway: true,
  ipMasq: true,
  ipam: { type: 'ipam-host-local', subnet: '10.1.0.0/24' },
}

/** Copies the plugins and what the dynamic linker says they need, and makes empty /proc, /run, /tmp and /var. */
function makeRoot(): string {
  const root = mkdtempSync(join(tmpdir(), 'pw-root-'))
  for (const name of ['proc', 'run/netns', 'tmp', 'var', CNI])
    mkdirSync(join(root, name), { recursive: true })
  for (const name of ['podwire', 'cni-bridge', 'ipam-host-local']) {
    cpSync(join(BIN, name), join(root, CNI, name), { verbatimSymlinks: true })
  }
  const libraries = execFileSync('ldd', [join(BIN, 'podwire')], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
  for (const library of libraries) {
    mkdirSync(join(root, dirname(library)), { recursive: true })
    copyFileSync(library, join(root, library))
  }
  return root
}

test('cni-bridge wires a pod when it is alone in an empty root without Node.js and PATH', (t) => {
  const node = makeNamespace(t, 'node')
  const pod = makeNamespace(t, 'pod')
  const root = makeRoot()
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const script = `
    mount -t proc proc ${root}/proc && mount --rbind /run/netns ${root}/run/netns &&
    exec ip netns exec ${node.name} env -u PATH /usr/sbin/chroot ${root} ${CNI}/cni-bridge`
  const call = (command: string) =>
    spawnSync('unshare', ['-m', 'sh', '-c', script], {
      input: JSON.stringify(NETCONF),
      encoding: 'utf8',
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'pod-1',
        CNI_NETNS: `/run/netns/${pod.name}`,
        CNI_IFNAME: 'eth0',
        CNI_PATH: CNI,
      },
    })
  const version = call('VERSION')
  t.match(version.stdout, /"supportedVersions"/, version.stderr)
  const added = call('ADD')
  t.equal(added.status, 0, `${added.stdout}${added.stderr}`)
  t.match(JSON.parse(added.stdout || '{}'), { ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }] })
  t.match(pod.run('ping', '-c1', '-W2', '10.1.0.1'), /1 received/)
  const deleted = call('DEL')
  t.equal(deleted.status, 0, `${deleted.stdout}${deleted.stderr}`)
  t.notMatch(node.run('ip', '-br', 'link'), /veth/)
  t.end()
})
