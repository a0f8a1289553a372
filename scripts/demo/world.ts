// The small world of the demo: a node (the namespace that the demo runs in), three pods on it, and a machine beyond
// the node's eth0.

import { statSync } from 'node:fs'

import { Machine, run } from './machine.ts'
import { namespaceOf } from './observe.ts'
import type { Pod, Result } from './runtime.ts'

/** Addresses for documentation (RFC 5737, RFC 3849). */
export const OUTSIDE_ADDRESSES = ['203.0.113.99', '2001:db8::99']
export const NODE_ADDRESSES = ['203.0.113.10', '2001:db8::10']
const LENGTHS = ['24', '64']

export interface DemoPod extends Pod {
  readonly machine: Machine
  /** What ADD answered. */
  result?: Result | undefined
}

export interface World {
  readonly node: Machine
  readonly outside: Machine
  readonly web: DemoPod
  readonly api: DemoPod
  readonly db: DemoPod
  readonly pods: readonly DemoPod[]
  /** The network namespaces of all, as /proc names them. */
  readonly namespaces: ReadonlySet<string>
}

export async function makeWorld(): Promise<World> {
  run('ip', 'link', 'set', 'lo', 'up')
  const node = Machine.own('node')
  const outside = Machine.create('outside')
  const [web, api, db] = [makePod('web', 'shop'), makePod('api', 'shop'), makePod('db', 'bank')]
  connectOutside()
  const pods = [web, api, db]
  const machines = [node, outside, ...pods.map(({ machine }) => machine)]
  await Promise.all(machines.map((machine) => machine.ready()))
  const namespaces = new Set([namespaceOf('self'), ...machines.flatMap(inodeOf)])
  return { node, outside, web, api, db, pods, namespaces }
}

/** An empty namespace with a program in it: what a runtime has before it calls the plugin. */
function makePod(name: string, network: Pod['network']): DemoPod {
  return { name, network, netns: `/run/netns/${name}`, machine: Machine.create(name) }
}

/** The node's way to the world: a cable to another machine, which is also the default route. */
function connectOutside(): void {
  run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'outside')
  for (const [where, addresses] of [
    [[], NODE_ADDRESSES],
    [['-n', 'outside'], OUTSIDE_ADDRESSES],
  ] as const) {
    // No link-local address: checking it for duplicates would take a second.
    run('ip', ...where, 'link', 'set', 'eth0', 'addrgenmode', 'none')
    for (const [i, address] of addresses.entries()) {
      run('ip', ...where, 'addr', 'add', `${address}/${LENGTHS[i]}`, 'dev', 'eth0', 'nodad')
    }
    run('ip', ...where, 'link', 'set', 'eth0', 'up')
  }
  for (const address of OUTSIDE_ADDRESSES) run('ip', 'route', 'add', 'default', 'via', address)
}

function inodeOf({ netns }: Machine): string[] {
  return netns === undefined ? [] : [`net:[${statSync(netns).ino}]`]
}

/** By family, IPv4 first, as the ranges of the networks are. */
export function addressesOf({ result }: DemoPod): string[] {
  return (result?.ips ?? []).map(({ address }) => address.replace(/\/.*/, ''))
}

export function gatewaysOf({ result }: DemoPod): string[] {
  return (result?.ips ?? []).map(({ gateway }) => gateway)
}
