// The demo, once there are namespaces to play in (scripts/demo.sh): makes a small world, lets the plugins wire its
// pods, shows what there is, proves that it works, and takes it all away again.

import { spawnSync } from 'node:child_process'

import * as observe from './observe.ts'
import { drawLeases, drawPicture } from './picture.ts'
import { proveCheck, proveDel, proveNothingIsLeft, proveReachability } from './proofs.ts'
import { Report } from './report.ts'
import { call } from './runtime.ts'
import { makeWorld, type World } from './world.ts'

async function main(): Promise<number> {
  const { stdout, env, argv } = process
  const report = new Report({ colours: stdout.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb' })
  try {
    const world = await makeWorld()
    const before = observe.listLinkNames()
    report.heading(
      'ADD: three pods get their wires',
      'A pod begins as an empty network namespace. For each, the runtime executes cni-bridge.',
    )
    if (await addAll(report, world)) {
      show(report, world)
      report.heading('Who reaches whom over TCP, and as whom the other side sees it')
      await proveReachability(report, world)
      report.heading('CHECK: is it still as ADD made it?')
      await proveCheck(report, world)
      if (argv.includes('--shell')) openShell(report)
    }
    report.heading('DEL: all that ADD made is taken back')
    await proveDel(report, world)
    report.heading('What is left')
    await proveNothingIsLeft(report, world, before)
  } catch (error) {
    report.fail('the demo itself', error instanceof Error ? error.message : String(error))
  }
  report.end()
  return report.failed === 0 ? 0 : 1
}

/** @returns whether all pods are wired */
async function addAll(report: Report, { pods }: World): Promise<boolean> {
  for (const pod of pods) {
    await report.prove(`ADD ${pod.name} to network ${pod.network}`, () => {
      const { result, elapsedMs } = call('ADD', pod)
      pod.result = result
      return `${result?.ips.map(({ address }) => address).join(', ')}  (${elapsedMs.toFixed(0)} ms)`
    })
  }
  return pods.every(({ result }) => result !== undefined)
}

function show(report: Report, { pods }: World): void {
  report.heading(
    'What is there now, as ip, nft and the lease store tell it',
    'The eth0 of a pod and a port of a bridge are the two ends of one wire, a veth pair.',
  )
  const names = pods.map(({ name }) => name)
  report.lines(drawPicture(observe.observeHost('outside'), observe.observeNode(names)))
  report.heading('Leases: which address is whose')
  report.lines(drawLeases(observe.listLeases()))
}

function openShell(report: Report): void {
  report.heading(
    'A shell on the node',
    'Try: ip link; bridge link; ip netns exec web ip addr; nft list ruleset. "exit" goes on.',
  )
  spawnSync(process.env['SHELL'] ?? '/bin/sh', { stdio: 'inherit' })
}

process.exit(await main())
