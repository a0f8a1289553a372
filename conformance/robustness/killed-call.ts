// A call of a plugin under strace(1), which can kill it as it enters a system call: that call is not made, the one
// before it was. The product has no hook for this.
//
// Only the main thread is traced: everything that changes something happens there (no thread of V8's or libuv's makes
// any of these calls but write(2), to wake another). strace counts each kind of call for itself.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestNode } from '../harness/node.ts'
import { type Call, callPlugin } from '../harness/plugin.ts'
import type { Exit } from '../harness/process.ts'

/** What can change the file system, the kernel's network, or the namespace that the thread is in. */
const CHANGING =
  'openat,mkdir,write,pwrite64,ftruncate,fsync,fdatasync,fchown,fchmod,rename,unlink,flock,setns,sendto,sendmsg,exit_group'

/** KILL_CALLS=all: at every call of any kind, which takes ten times as long and meets the same states. */
const TRACED = process.env['KILL_CALLS'] ?? CHANGING

/** `sendmsg 12`: the twelfth sendmsg(2) of the process. */
export interface Point {
  readonly name: string
  readonly nth: number
}

export interface TracedCall extends Exit {
  /** The calls in order, as strace writes them; the last is the one that was not made when it was killed. */
  readonly calls: readonly string[]
  /** Where it could have been killed, from the first call on that is our code's and not the start of Node.js. */
  readonly points: readonly Point[]
  readonly killed: boolean
}

/** @param at  where it is killed; undefined to let it run */
export async function traceCall(node: TestNode, call: Call, at?: Point): Promise<TracedCall> {
  const log = join(node.directory, 'strace')
  const inject = at === undefined ? [] : ['-e', `inject=${at.name}:signal=KILL:when=${at.nth}`]
  const wrapper = ['strace', '-qq', '-s', '64', '-o', log, '-e', `trace=${TRACED}`, ...inject]
  const exit = await callPlugin(node, { ...call, wrapper })
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
  const calls = lines.filter((line) => /^\w+\(/.test(line))
  const points = pointsOf(calls).slice(calls.findIndex((line) => isOwn(line, node)))
  return { ...exit, calls, points, killed: lines.at(-1) === '+++ killed by SIGKILL +++' }
}

function pointsOf(calls: readonly string[]): Point[] {
  const counts = new Map<string, number>()
  return calls.map((call) => {
    const name = call.slice(0, call.indexOf('('))
    const nth = (counts.get(name) ?? 0) + 1
    counts.set(name, nth)
    return { name, nth }
  })
}

function isOwn(call: string, node: TestNode): boolean {
  return call.includes(node.directory) || /^(?:setns|mkdir|flock|send)/.test(call)
}
