// A cluster as whoever has its kubeconfig sees it: all is done with kubectl. Pods are in a namespace that is made for
// the test, on one node.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { type Exit, run } from '../harness/process.ts'

/** Has a shell, httpd and wget. */
const IMAGE = process.env['PODWIRE_CLUSTER_IMAGE'] ?? 'docker.io/library/busybox:1.36'
const DAEMON_NAMESPACE = 'kube-system'
const LABEL = 'app.kubernetes.io/name=podwire'

/** An image may have to be fetched; a node starts anew in less. */
const PATIENCE_MS = 240_000
const PAUSE_MS = 1000
export const PORT = 8080

/** @returns why there is no cluster, for `skip`; false when there is one */
export async function findClusterObstacle(): Promise<string | false> {
  if (!process.env['KUBECONFIG']) return 'KUBECONFIG names no cluster (scripts/kind-up.sh makes one)'
  const found = await run(['kubectl', 'version', '--client']).catch(() => undefined)
  return found?.status === 0 ? false : 'there is no kubectl'
}

export interface PodOptions {
  readonly hostPort?: number
  readonly isOnHost?: boolean
}

interface NodeObject {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly podCIDRs?: readonly string[]; readonly unschedulable?: boolean }
  readonly status: {
    readonly addresses: readonly { readonly type: string; readonly address: string }[]
    readonly conditions: readonly { readonly type: string; readonly status: string }[]
  }
}

export class Cluster {
  readonly namespace: string
  readonly node: NodeObject

  private constructor(namespace: string, node: NodeObject) {
    this.namespace = namespace
    this.node = node
  }

  /** Its namespace is gone when the test ends. */
  static async open(t: Pick<Test, 'teardown'>): Promise<Cluster> {
    const { items } = JSON.parse(await kubectl('get', 'nodes', '-o', 'json')) as { items: NodeObject[] }
    const node = items.find(({ spec }) => spec.unschedulable !== true)
    if (node === undefined) throw new Error('no node takes pods')
    const namespace = `podwire-${process.pid}`
    await kubectl('create', 'namespace', namespace)
    t.teardown(() => kubectl('delete', 'namespace', namespace))
    return new Cluster(namespace, node)
  }

  /** The addresses of the node itself. */
  get nodeAddresses(): string[] {
    return this.node.status.addresses.filter(({ type }) => type === 'InternalIP').map((one) => one.address)
  }

  /** @returns its addresses; it is ready, for the kubelet has reached it */
  async runPod(name: string, { hostPort, isOnHost = false }: PodOptions = {}): Promise<string[]> {
    const serve = `mkdir -p /tmp/www && echo ${name} >/tmp/www/index.html && exec httpd -f -p ${PORT} -h /tmp/www`
    const served = {
      command: ['sh', '-c', serve],
      ports: [{ containerPort: PORT, ...(hostPort !== undefined && { hostPort }) }],
      readinessProbe: { httpGet: { path: '/', port: PORT }, periodSeconds: 1 },
    }
    const idle = { command: ['sh', '-c', 'exec sleep 1000000'] }
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: this.namespace },
      spec: {
        nodeName: this.node.metadata.name,
        hostNetwork: isOnHost,
        terminationGracePeriodSeconds: 1,
        tolerations: [{ operator: 'Exists' }],
        containers: [{ name: 'main', image: IMAGE, ...(isOnHost ? idle : served) }],
      },
    }
    await must(await runKubectl(['apply', '-f', '-'], JSON.stringify(pod)))
    await this.kubectl('wait', '--for=condition=Ready', `pod/${name}`, `--timeout=${PATIENCE_MS}ms`)
    const { status } = JSON.parse(await this.kubectl('get', 'pod', name, '-o', 'json'))
    return (status.podIPs as { ip: string }[]).map(({ ip }) => ip)
  }

  async endPod(name: string): Promise<void> {
    await this.kubectl('delete', 'pod', name, `--timeout=${PATIENCE_MS}ms`)
  }

  /** @returns what is served there, to a pod; or how the attempt went */
  async fetch(pod: string, url: string): Promise<string> {
    const words = ['exec', pod, '--', 'wget', '-q', '-O', '-', '-T', '5', url]
    const { status, stdout, stderr } = await runKubectl(['--namespace', this.namespace, ...words])
    return status === 0 ? stdout.trim() : stderr.trim()
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return kubectl('--namespace', this.namespace, ...args)
  }

  /** Podwire's own DaemonSet, and what is beside it. */
  daemons(...args: readonly string[]): Promise<string> {
    return kubectl('--namespace', DAEMON_NAMESPACE, ...args)
  }

  /** `podwire …` on the node. */
  async podwire(...words: readonly string[]): Promise<string> {
    const selection = ['--selector', LABEL, '--field-selector', `spec.nodeName=${this.node.metadata.name}`]
    const pod = (await this.daemons('get', 'pods', ...selection, '-o', 'name')).trim()
    const enter = ['nsenter', '--target=1', '--mount', '--', '/opt/cni/bin/podwire']
    return this.daemons('exec', pod, '--container', 'daemon', '--', ...enter, ...words)
  }

  /** Runs `kubectl port-forward` until the test ends. @returns the port on this machine */
  async forward(t: Test, pod: string): Promise<number> {
    const args = ['--namespace', this.namespace, 'port-forward', `pod/${pod}`, `:${PORT}`]
    const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill())
    const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), once(child, 'close')])
    const [, port] = /^Forwarding from \S+:(\d+) /.exec(String(line)) ?? []
    if (port === undefined) throw new Error(`kubectl port-forward: ${line}`)
    return Number(port)
  }
}

export function kubectl(...args: readonly string[]): Promise<string> {
  return runKubectl(args).then(must)
}

function runKubectl(args: readonly string[], stdin = ''): Promise<Exit> {
  const { KUBECONFIG = '', HOME = '' } = process.env
  return run(['kubectl', ...args], { environment: { KUBECONFIG, HOME }, stdin, deadlineMs: 2 * PATIENCE_MS })
}

function must({ status, stdout, stderr }: Exit): string {
  if (status === 0) return stdout
  throw new Error(`kubectl: exit status ${status}: ${stderr.trim()}`)
}

/** For what nothing can be waited for: an API server that comes back. */
export async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + PATIENCE_MS; Date.now() < endMs; ) {
    if (await isTrue().catch(() => false)) return
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  throw new Error(`after ${PATIENCE_MS / 1000} seconds still not so: ${isTrue}`)
}
