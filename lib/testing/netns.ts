// Throw-away network namespaces for tests: the machine's own interfaces, routes and rules are never touched.

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { NETLINK_ROUTE, openSocket } from '../netlink/socket.ts'
import { Netns } from '../netns/netns.ts'
import { RtnlSocket } from '../rtnl/rtnl-socket.ts'

export interface TestNamespace {
  readonly name: string
  readonly path: string
  readonly netns: Netns
  /** A connected rtnetlink port in this namespace. */
  readonly rtnl: RtnlSocket
  /** Runs a program inside; returns its standard output. @throws when it fails */
  run(program: string, ...args: string[]): string
}

interface Teardown {
  teardown(work: () => void): void
}

/** Makes a namespace that is deleted when the test ends. */
export function makeNamespace(t: Teardown, label = 'ns'): TestNamespace {
  const name = `pwt-${label}-${randomBytes(4).toString('hex')}`
  const path = `/var/run/netns/${name}`
  execFileSync('ip', ['netns', 'add', name])
  t.teardown(() => execFileSync('ip', ['netns', 'del', name]))
  const netns = Netns.open(path)
  const rtnl = new RtnlSocket((options) => netns.enter(() => openSocket(NETLINK_ROUTE, options)))
  t.teardown(() => {
    rtnl.close()
    netns.close()
  })
  const run = (program: string, ...args: string[]) =>
    execFileSync('ip', ['netns', 'exec', name, program, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  return { name, path, netns, rtnl, run }
}

/** `ip -j` and its like, parsed. */
export function runJson(ns: TestNamespace, program: string, ...args: string[]): unknown {
  const text = ns.run(program, ...args).trim()
  return text === '' ? [] : JSON.parse(text)
}
