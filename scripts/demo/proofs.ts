// What the demo claims, and how it finds out: machines ask each other as whom they are seen, CHECK is tried on what is
// whole and on what was damaged, and after DEL the kernel and the stores are searched for what was left.

import { run } from './machine.ts'
import * as observe from './observe.ts'
import type { Report } from './report.ts'
import { call } from './runtime.ts'
import {
  addressesOf,
  type DemoPod,
  gatewaysOf,
  NODE_ADDRESSES,
  OUTSIDE_ADDRESSES,
  type World,
} from './world.ts'

export async function proveReachability(report: Report, { outside, web, api, db }: World): Promise<void> {
  const [webAddress = ''] = addressesOf(web)
  const [webGateway = ''] = gatewaysOf(web)
  await proveSeen(report, web, { to: 'api', at: addressesOf(api), as: addressesOf(web) })
  await proveSeen(report, api, { to: 'web', at: addressesOf(web), as: addressesOf(api) })
  for (const pod of [web, db]) {
    await proveSeen(report, pod, { to: 'gateway', at: gatewaysOf(pod), as: addressesOf(pod) })
  }
  await proveSeen(report, db, { to: 'web', at: [webAddress], as: [webGateway], note: 'the node’s, on cni0' })
  for (const pod of [web, db]) {
    const families = addressesOf(pod).length
    const at = OUTSIDE_ADDRESSES.slice(0, families)
    await proveSeen(report, pod, {
      to: 'outside',
      at,
      as: NODE_ADDRESSES.slice(0, families),
      note: 'the node’s',
    })
  }
  await report.prove(`outside → web at ${webAddress}`, async () => {
    const answer = await outside.ask(webAddress).catch((error: Error) => error.message)
    if (!answer.includes('ENETUNREACH')) throw new Error(`"${answer}" and not ENETUNREACH`)
    return 'ENETUNREACH: answers need masquerade'
  })
}

interface Question {
  readonly to: string
  readonly at: readonly string[]
  /** For each address asked at, whom the other side should see. */
  readonly as: readonly string[]
  readonly note?: string
}

function proveSeen(
  report: Report,
  { name, machine }: DemoPod,
  { to, at, as, note }: Question,
): Promise<void> {
  return report.prove(`${name} → ${to} at ${at.join(', ')}`, async () => {
    if (at.length === 0) throw new Error('it has no address')
    for (const [i, address] of at.entries()) {
      const seenAs = await machine.ask(address)
      if (seenAs !== as[i]) throw new Error(`${address} sees ${seenAs} and not ${as[i]}`)
    }
    return `seen as ${as.join(', ')}${note === undefined ? '' : ` (${note})`}`
  })
}

export async function proveCheck(report: Report, { api, pods }: World): Promise<void> {
  await report.prove(`CHECK ${pods.map(({ name }) => name).join(', ')}`, () => {
    for (const pod of pods) call('CHECK', pod, pod.result)
    return 'all as ADD made it'
  })
  const [gateway = ''] = gatewaysOf(api)
  run('ip', '-n', api.name, 'route', 'del', 'default')
  await report.prove(`CHECK ${api.name}, its default route taken away`, () => {
    try {
      call('CHECK', api, api.result)
    } catch (error) {
      return (error as Error).message
    }
    throw new Error('finds nothing wrong')
  })
  run('ip', '-n', api.name, 'route', 'add', 'default', 'via', gateway)
}

export async function proveDel(report: Report, { web, api, db }: World): Promise<void> {
  const del = (pod: DemoPod) => `${call('DEL', pod, pod.result).elapsedMs.toFixed(0)} ms`
  await report.prove('DEL web', () => del(web))
  await report.prove('DEL api', () => del(api))
  await report.prove('DEL api a second time', () => `no error, ${del(api)}`)
  await db.machine.remove()
  await report.prove('DEL db, whose namespace is gone already', () => del(db))
}

/** @param before  the node's links before the first ADD */
export async function proveNothingIsLeft(
  report: Report,
  { node, outside, web, api, namespaces }: World,
  before: readonly string[],
): Promise<void> {
  const bridges = observe.observeNode([]).bridges.map(({ name }) => name)
  await report.prove('no link on the node', () => {
    expectNone(observe.listLinkNames().filter((name) => ![...before, ...bridges].includes(name)))
    return `but ${bridges.join(', ')}, without a port: bridges stay`
  })
  await report.prove('no link in the pods', () => {
    expectNone([web, api].flatMap(({ name }) => observe.listLinkNames(name)).filter((name) => name !== 'lo'))
    return 'but lo'
  })
  await report.prove('no masquerade element', () => expectNone(observe.listMasqueraded()))
  await report.prove('no lease', () => expectNone(observe.listLeases().map(({ pod }) => pod)))
  await report.prove('no attachment record', () => expectNone(observe.listAttachments()))
  for (const machine of [web.machine, api.machine, outside, node]) await machine.remove()
  await report.prove('no namespace', () => expectNone(observe.listNamespaces()))
  await report.prove('no process in one', () => expectNone(observe.listProcesses(namespaces)))
}

function expectNone(left: readonly string[]): string {
  if (left.length > 0) throw new Error(`left: ${left.join(', ')}`)
  return ''
}
