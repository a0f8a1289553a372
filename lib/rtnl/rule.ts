// Rules: which routing table is looked into for which packets (RTM_*RULE, linux/fib_rules.h; ip-rule(8)).

import { type Family, IpAddress } from '../ip/address.ts'
import { Prefix } from '../ip/prefix.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/message.ts'
import { type Operation, type Request, readPayload, request } from '../netlink/request.ts'
import { addressFamily, RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE } from './attributes.ts'

const FR_ACT_TO_TBL = 1

export interface Rule {
  readonly family: Family
  /** Packets from these addresses; all when absent. */
  readonly source?: Prefix
  readonly table: number
  /** Lower comes first. When absent, the kernel takes the one before the first that is there (fib_default_rule_pref). */
  readonly priority?: number
}

export interface RuleState extends Rule {
  readonly priority: number
}

/** @see RTM_NEWRULE; EEXIST for a rule that is there already */
export function addRuleRequest(rule: Rule, operation: Operation): Request {
  return request(RTM_NEWRULE, { flags: NLM_F_CREATE | NLM_F_EXCL, ...content(rule), operation })
}

/** The first that is like this; what is absent is any. */
export function deleteRuleRequest(rule: Rule, operation: Operation): Request {
  return request(RTM_DELRULE, { ...content(rule), operation })
}

function content({ family, source, table, priority }: Rule) {
  return {
    header: {
      family: addressFamily[family],
      src_len: source?.length ?? 0,
      table: table < 256 ? table : 0,
      action: FR_ACT_TO_TBL,
    },
    attributes: {
      FRA_SRC: source?.first().toBytes(),
      FRA_PRIORITY: priority,
      FRA_TABLE: table,
    },
  }
}

export function listRulesRequest(family: Family): Request {
  return request(RTM_GETRULE, { header: { family: addressFamily[family] }, operation: 'list rules' })
}

/** @returns undefined for a rule that leads to no table (blackhole, prohibit, goto) */
export function readRule(payload: Uint8Array): RuleState | undefined {
  const { header, attributes: a } = readPayload(RTM_NEWRULE, payload)
  if (header.action !== FR_ACT_TO_TBL) return undefined
  const family = header.family === addressFamily[4] ? 4 : header.family === addressFamily[6] ? 6 : undefined
  if (family === undefined) return undefined
  return {
    family,
    ...(a.FRA_SRC === undefined ? {} : { source: Prefix.of(IpAddress.fromBytes(a.FRA_SRC), header.src_len) }),
    table: a.FRA_TABLE ?? header.table,
    priority: a.FRA_PRIORITY ?? 0,
  }
}
