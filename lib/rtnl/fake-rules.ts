// Rules of the fake kernel (net/core/fib_rules.c).

import type { Family } from '../ip/address.ts'
import { FakeRefusal } from './fake-refusal.ts'
import type { FakeStack } from './fake-stack.ts'
import type { Rule, RuleState } from './rule.ts'

const TABLE = { local: 255, main: 254, default: 253 } as const

/** What every namespace begins with. */
export function firstRules(): RuleState[] {
  return [
    { family: 4, table: TABLE.local, priority: 0 },
    { family: 4, table: TABLE.main, priority: 32766 },
    { family: 4, table: TABLE.default, priority: 32767 },
    { family: 6, table: TABLE.local, priority: 0 },
    { family: 6, table: TABLE.main, priority: 32766 },
  ]
}

export function addRule({ rules }: FakeStack, rule: Rule): void {
  const added = { ...rule, priority: rule.priority ?? nextPriority(rules, rule.family) }
  if (rule.priority !== undefined && rules.some((other) => isSame(other, added)))
    throw new FakeRefusal('EEXIST')
  const at = rules.findIndex(({ family, priority }) => family === rule.family && priority > added.priority)
  rules.splice(at < 0 ? rules.length : at, 0, added)
}

/** Before the first that is not the very first. */
function nextPriority(rules: readonly RuleState[], family: Family): number {
  const second = rules.filter((rule) => rule.family === family)[1]
  return second === undefined || second.priority === 0 ? 0 : second.priority - 1
}

export function deleteRule({ rules }: FakeStack, wanted: Rule): void {
  const at = rules.findIndex(
    (rule) =>
      rule.family === wanted.family &&
      rule.table === wanted.table &&
      (wanted.priority === undefined || wanted.priority === rule.priority) &&
      (wanted.source === undefined || isSameSource(wanted, rule)),
  )
  if (at < 0) throw new FakeRefusal('ENOENT')
  rules.splice(at, 1)
}

function isSame(a: Rule, b: Rule): boolean {
  return a.family === b.family && a.table === b.table && a.priority === b.priority && isSameSource(a, b)
}

function isSameSource({ source: a }: Rule, { source: b }: Rule): boolean {
  return a === undefined || b === undefined ? a === b : a.masked().equals(b.masked())
}
