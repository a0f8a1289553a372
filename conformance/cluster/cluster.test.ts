// Podwire as the network of a cluster, whichever KUBECONFIG names: what needs a kubelet and an API server to be seen.
//
//   scripts/kind-up.sh && KUBECONFIG=dist/kind/podwire.kubeconfig node conformance/cluster/cluster.test.ts
//
//   PODWIRE_CLUSTER_IMAGE    of its pods: has a shell, httpd and wget; else busybox of docker.io
//   PODWIRE_CLUSTER_REBOOT   a command that takes the name of a node and starts it anew, as `docker restart` does in kind

import { t as root, test } from 'tap'

import { IpAddress } from '../../lib/ip/address.ts'
import { Prefix } from '../../lib/ip/prefix.ts'
import { mustRun } from '../harness/process.ts'
import { Cluster, findClusterObstacle, kubectl, PORT, until } from './cluster.ts'

/** Images are fetched, and a node is started anew. */
const DEADLINE_MS = 1_200_000
root.setTimeout(DEADLINE_MS)

const skip = await findClusterObstacle()
const options = { skip, timeout: DEADLINE_MS }
const HOST_PORT = 18080

/** One namespace for all tests, which come one after the other. */
let shared: Promise<Cluster> | undefined
const getCluster = () => {
  shared ??= Cluster.open(root)
  return shared
}

const urlOf = (address: string, port: number) =>
  `http://${address.includes(':') ? `[${address}]` : address}:${port}/`

test('nodes are ready, and the daemon serves on each', options, async (t) => {
  const cluster = await getCluster()
  const ready = ({ status }: Cluster['node']) =>
    status.conditions.find(({ type }) => type === 'Ready')?.status
  t.equal(ready(cluster.node), 'True')
  const { status } = JSON.parse(await cluster.daemons('get', 'daemonset', 'podwire', '-o', 'json'))
  t.ok(status.desiredNumberScheduled > 0)
  t.equal(status.numberReady, status.desiredNumberScheduled)
})

test('pods have addresses of their node’s ranges, and reach each other', options, async (t) => {
  const cluster = await getCluster()
  const ranges = (cluster.node.spec.podCIDRs ?? []).map((text) => Prefix.parse(text))
  t.ok(ranges.length > 0)
  const addresses = {
    web: await cluster.runPod('web', { hostPort: HOST_PORT }),
    peer: await cluster.runPod('peer'),
  }
  for (const [pod, own] of Object.entries(addresses)) {
    t.equal(own.length, ranges.length, `${pod} has one of each range`)
    for (const address of own)
      t.ok(
        ranges.some((range) => range.contains(IpAddress.parse(address))),
        `${address} is of the node’s ranges`,
      )
  }
  for (const address of addresses.web) t.equal(await cluster.fetch('peer', urlOf(address, PORT)), 'web')
  for (const address of addresses.peer) t.equal(await cluster.fetch('web', urlOf(address, PORT)), 'peer')
})

test('a host port leads to its pod, from the node and from pods', options, async (t) => {
  const cluster = await getCluster()
  await cluster.runPod('on-the-node', { isOnHost: true })
  t.ok(cluster.nodeAddresses.length > 0)
  for (const address of cluster.nodeAddresses)
    for (const pod of ['on-the-node', 'peer', 'web'])
      t.equal(await cluster.fetch(pod, urlOf(address, HOST_PORT)), 'web', `${pod} by ${address}`)
})

test('kubectl port-forward and the API server’s proxy reach a pod', options, async (t) => {
  const cluster = await getCluster()
  const port = await cluster.forward(t, 'web')
  t.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'web\n')
  const path = `/api/v1/namespaces/${cluster.namespace}/pods/web:${PORT}/proxy/`
  t.equal(await kubectl('get', '--raw', path), 'web\n')
})

test('pods come and go while the daemon is started anew', options, async (t) => {
  const cluster = await getCluster()
  await cluster.daemons('rollout', 'restart', 'daemonset/podwire')
  for (const name of ['during-1', 'during-2']) {
    const [address = ''] = await cluster.runPod(name)
    t.equal(await cluster.fetch('peer', urlOf(address, PORT)), name)
    await cluster.endPod(name)
  }
  await cluster.daemons('rollout', 'status', 'daemonset/podwire', '--timeout=4m')
  t.equal(await cluster.fetch('peer', urlOf(cluster.nodeAddresses[0] ?? '', HOST_PORT)), 'web')
  t.notMatch(await cluster.podwire('list', '-o', 'name'), /during-/)
})

const reboot = process.env['PODWIRE_CLUSTER_REBOOT']
const noReboot =
  reboot === undefined ? 'PODWIRE_CLUSTER_REBOOT names no command that starts a node anew' : false

test('pods have their network again after a reboot', { ...options, skip: skip || noReboot }, async (t) => {
  const cluster = await getCluster()
  await mustRun('sh', '-c', `${reboot} "$1"`, 'sh', cluster.node.metadata.name)
  const isServed = async () => {
    const { status } = JSON.parse(await cluster.kubectl('get', 'pod', 'web', '-o', 'json'))
    return (await cluster.fetch('peer', urlOf(status.podIPs[0].ip, PORT))) === 'web'
  }
  await until(isServed)
  await cluster.daemons('rollout', 'status', 'daemonset/podwire', '--timeout=4m')
  const attachments = JSON.parse(await cluster.podwire('list', '-o', 'json')) as { state: string }[]
  t.ok(attachments.length > 0)
  t.strictSame(
    attachments.filter(({ state }) => state === 'gone'),
    [],
  )
})

test('nothing is left of pods that are gone', options, async (t) => {
  const cluster = await getCluster()
  await cluster.kubectl('delete', 'pods', '--all', '--timeout=4m')
  const left = (await cluster.podwire('list', '-o', 'name')).split('\n')
  t.strictSame(
    left.filter((name) => name.startsWith(`${cluster.namespace}/`)),
    [],
  )
})
