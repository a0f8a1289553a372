// A node goes from upstream's plugins to ours and back while its pods run: what docs/switching.md promises.

import { join } from 'node:path'
import type { Case } from '../harness/case.ts'
import { upstream } from '../harness/contestant.ts'
import type { Json } from '../harness/flatten.ts'
import { installUnderUpstreamsNames } from '../harness/installed.ts'
import { withMounts } from '../harness/mounts.ts'
import type { Namespace } from '../harness/node.ts'
import type { Config } from '../harness/plugin.ts'
import type { Options, Stage } from '../harness/stage.ts'
import { askPeer, connectEcho, keepAsking, serve } from '../harness/traffic.ts'
import { DUAL } from './attach.ts'

const OUTSIDE = { 4: '192.0.2.2', 6: '2001:db8:ffff::2' }

type Whose = 'upstream' | 'ours'

/** One network, and pods of it that live through the switch. */
class Node {
  readonly stage: Stage
  readonly outside: Namespace
  readonly #config: Config
  readonly #addresses = new Map<Namespace, string[]>()
  readonly #results = new Map<Namespace, Json | undefined>()
  readonly #ends: (() => Promise<void>)[] = []

  private constructor(stage: Stage, outside: Namespace) {
    this.stage = stage
    this.outside = outside
    const ipam = { type: 'host-local', dataDir: stage.node.dataDir, ...DUAL }
    const fields = { isDefaultGateway: true, ipMasq: true, hairpinMode: true, ipam }
    this.#config = { cniVersion: '1.0.0', name: 'net', type: 'bridge', ...fields }
  }

  static async open(stage: Stage): Promise<Node> {
    const node = new Node(stage, await stage.addOutside())
    node.#ends.push(await serve(node.outside), await serve(node.outside, 'echo'))
    return node
  }

  /** A new pod. No live pod has its addresses. */
  async add(whose: Whose, label: string): Promise<Namespace> {
    const pod = await this.stage.addPod(label)
    const { json } = await this.stage.add(pod, this.#config, this.#options(whose, 'ADD', label))
    const { ips = [] } = (json ?? {}) as { ips?: { address: string }[] }
    const addresses = ips.map(({ address }) => address)
    const taken = [...this.#addresses.values()].flat().filter((address) => addresses.includes(address))
    this.stage.require(addresses.length === 2, `${label} has two addresses: ${addresses}`)
    this.stage.require(taken.length === 0, `${taken} of ${label} are another's`)
    this.#addresses.set(pod, addresses)
    this.#results.set(pod, json)
    return pod
  }

  async refuse(whose: Whose, label: string): Promise<void> {
    const pod = await this.stage.addPod(label)
    const { status } = await this.stage.add(pod, this.#config, this.#options(whose, 'ADD', label))
    this.stage.require(status === 1, `${whose} refuses ${label}`)
    if (whose === 'upstream') await this.stage.sh('ip link del eth0', pod) // which it leaves
  }

  async check(whose: Whose, pod: Namespace): Promise<void> {
    const options = this.#options(whose, 'CHECK', pod.label)
    const { status } = await this.stage.check(pod, this.#config, this.#results.get(pod), options)
    this.stage.require(status === 0, `CHECK of ${pod.label} by ${whose}`)
  }

  async del(whose: Whose, pod: Namespace): Promise<void> {
    const config = { ...this.#config, prevResult: this.#results.get(pod) }
    await this.stage.del(pod, config, this.#options(whose, 'DEL', pod.label))
    this.#addresses.delete(pod)
  }

  async collectAllBut(pods: readonly Namespace[]): Promise<void> {
    const valid = pods.map(({ label }) => ({ containerID: label, ifname: 'eth0' }))
    const config = { ...this.#config, cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid }
    await this.stage.call('GC', undefined, config, this.#options('ours', 'GC', `all but ${valid.length}`))
  }

  /** A command for people. */
  async podwire(...words: readonly string[]): Promise<void> {
    const { stage } = this
    const program = join(installUnderUpstreamsNames(), 'podwire')
    const environment = { PODWIRE_STATE_DIR: stage.node.stateDir }
    const own = withMounts('mount -t tmpfs none /var/lib') // not the leases of the machine that this runs on
    const { status, stdout, stderr } = await stage.node.exec([...own, program, ...words], { environment })
    stage.require(status === 0, `podwire ${words[0]}: ${stderr}`)
    stage.note(`podwire ${words[0]}`, stdout.trimEnd().split('\n'))
  }

  async reach(pod: Namespace): Promise<void> {
    const seen = [await askPeer(this.stage, pod, OUTSIDE[4]), await askPeer(this.stage, pod, OUTSIDE[6])]
    this.stage.note(`${pod.label} calls outside, seen as`, seen)
    this.stage.require(
      seen.join() === '192.0.2.1,2001:db8:ffff::1',
      `${pod.label} is the node outside: ${seen}`,
    )
  }

  /** Packets and a connection, from now until `end`. */
  async keepTalking(pods: readonly Namespace[]): Promise<() => Promise<void>> {
    const talks = pods.map((pod) => ({
      pod,
      count: keepAsking(pod, OUTSIDE[4]),
      connection: connectEcho(pod, OUTSIDE[4]),
    }))
    for (const { pod, connection } of talks) await this.#echo(pod, connection)
    return async () => {
      for (const { pod, count, connection } of talks) {
        await this.#echo(pod, connection)
        await connection.close()
        const lost = await count()
        this.stage.note(`${pod.label} lost`, [`${lost} packets`])
        this.stage.require(lost === 0, `${pod.label} lost ${lost} packets`)
      }
    }
  }

  async #echo(pod: Namespace, { say }: ReturnType<typeof connectEcho>): Promise<void> {
    const heard = await say('hello')
    this.stage.require(heard === 'hello', `the connection of ${pod.label} lives: ${heard}`)
  }

  /** What is in upstream's directory, and which pods have rules of upstream's. */
  async noteUpstreams(): Promise<void> {
    const { stage } = this
    stage.note('leases of upstream’s', upstream.listLeases(stage.node.dataDir))
    const rules = await stage.sh('for p in iptables ip6tables; do $p -t nat -S; done')
    const owners = [...rules.matchAll(/-A POSTROUTING .*id: \\"([^\\]+)\\"/g)].map(([, id = '']) => id)
    stage.note('masqueraded by upstream', [...new Set(owners)].sort())
  }

  async close(): Promise<void> {
    for (const end of this.#ends) await end()
  }

  #options(whose: Whose, verb: string, subject: string): Options {
    const ours = [installUnderUpstreamsNames(), upstream.directory]
    const directories = whose === 'ours' ? ours : [upstream.directory]
    return { type: 'bridge', directories, as: `${verb} ${subject} by ${whose}`, quiet: true }
  }
}

const stories: Readonly<Record<string, (node: Node) => Promise<void>>> = {
  'pods that upstream attached live on when ours takes over': async (node) => {
    const [pod1, pod2] = [await node.add('upstream', 'pod1'), await node.add('upstream', 'pod2')]
    await node.noteUpstreams()
    const stopTalking = await node.keepTalking([pod1])
    await node.check('ours', pod1)
    await node.del('ours', pod2)
    await node.noteUpstreams()
    const [pod3, pod4] = [await node.add('ours', 'pod3'), await node.add('ours', 'pod4')]
    await node.refuse('upstream', 'pod5')
    await node.del('ours', pod4)
    await node.collectAllBut([pod1, pod3])
    await node.stage.look()
    for (const pod of [pod1, pod3]) {
      await node.check('ours', pod)
      await node.reach(pod)
    }
    await stopTalking()
    for (const pod of [pod1, pod3]) await node.del('ours', pod)
    await node.noteUpstreams()
  },
  'pods that ours attached live on when upstream takes over': async (node) => {
    const { stage } = node
    const pod1 = await node.add('upstream', 'pod1')
    const [pod2, pod3] = [await node.add('ours', 'pod2'), await node.add('ours', 'pod3')]
    const stopTalking = await node.keepTalking([pod1, pod2])
    await node.podwire('export', '--network', 'net', stage.node.dataDir)
    await node.check('upstream', pod2)
    const pod4 = await node.add('upstream', 'pod4')
    await node.del('ours', pod3) // late: the runtime had started it before
    await node.noteUpstreams()
    for (const pod of [pod1, pod2, pod4]) await node.reach(pod)
    await stopTalking()
    for (const _ of ['a first time', 'as runtimes do']) await node.del('upstream', pod2)
    await stage.removePod(pod2)
    await node.podwire('gc')
    const pod5 = await node.add('upstream', 'pod5')
    await node.noteUpstreams()
    for (const pod of [pod1, pod4, pod5]) await node.del('upstream', pod)
    await node.noteUpstreams()
  },
}

export const switchingCases: readonly Case[] = Object.entries(stories).map(([title, play]) => ({
  title,
  async play(stage) {
    const node = await Node.open(stage)
    try {
      await play(node)
    } finally {
      await node.close()
    }
  },
  oursOnly: 'both are in it already',
}))
