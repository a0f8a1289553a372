// What is attached, and whether all of it is as it was made.

import { dirname } from 'node:path'
import { podText } from '../attached.ts'
import { isBroken } from '../cni-config.ts'
import { gc } from '../gc.ts'
import { pluginPath } from '../places.ts'
import { checkAttached } from '../recorded-check.ts'
import { formatCount } from '../style.ts'
import { type Examination, type Finding, ok, orOk, trouble, warning } from './examination.ts'

/** An ADD that runs is done by then. */
const ADD_MS = 60_000

const records: Examination = {
  title: 'attachments',
  examine: ({ attached, ports }) => {
    const nowMs = ports.clock.nowMs()
    const findings = attached
      .filter(({ state, createdAtMs }) => state === 'incomplete' && nowMs - createdAtMs > ADD_MS)
      .map((one) =>
        warning(
          `${podText(one)} ${one.ifname}: an ADD of ${new Date(one.createdAtMs).toISOString()} was never finished`,
          'its runtime’s DEL, or the daemon when it starts, takes it back',
        ),
      )
    return orOk(findings, formatCount(attached.length, 'interface'))
  },
}

/** More are counted. */
const PODS_NAMED = 5
const DIFFERENCES_NAMED = 3
const REPAIR = 'podwire repair; what is inside the pod takes its restart'
const RESTART = 'restart the pod: what is inside it, and a wire that is gone, are not mended'

const drift: Examination = {
  title: 'CHECK of all attachments',
  examine: async (patient) => {
    const { ports, findPlugin, executable, attached } = patient
    const configs = patient.configs.flatMap((config) => (isBroken(config) ? [] : [config]))
    const checking = { ports, findPlugin, configs, path: pluginPath(dirname(executable)) }
    const findings: Finding[] = []
    for (const one of attached.filter(({ state }) => state === 'attached')) {
      const { drifts, unknown } = await checkAttached(checking, one)
      const name = `${podText(one)} ${one.ifname}`
      if (drifts.length > 0)
        findings.push(trouble(`${name}: ${firstOf(drifts)}`, drifts.every(isPods) ? RESTART : REPAIR))
      if (unknown.length > 0)
        findings.push(
          warning(
            `${name}: ${unknown.join('; ')}`,
            'podwire doctor --conf-dir names the directory of its configuration',
          ),
        )
    }
    const more = findings.length - PODS_NAMED
    const counted = more > 0 ? [trouble(`and ${more} more`, 'podwire check tells all')] : []
    return orOk([...findings.slice(0, PODS_NAMED), ...counted], 'all as ADD made it')
  },
}

function firstOf(drifts: readonly string[]): string {
  const more = drifts.length - DIFFERENCES_NAMED
  const shown = drifts.slice(0, DIFFERENCES_NAMED).join('; ')
  return more > 0 ? `${shown}; and ${more} more, which podwire check tells` : shown
}

/** As CHECK says of what is inside the pod, and of its wire: what `podwire repair` does not touch. */
function isPods(drift: string): boolean {
  return /^(?:pod|container) |^host interface \S+ is gone/.test(drift)
}

const LINES_SHOWN = 5

/** Records, leases, links and elements of pods that are no more. */
const garbage: Examination = {
  title: 'left behind by pods',
  examine: async ({ ports, plugins, executable }) => {
    const text = await gc(ports, plugins, { dryRun: true, path: pluginPath(dirname(executable)) })
    const lines = text.split('\n').filter((line) => line.startsWith('would remove '))
    if (lines.length === 0) return [ok('nothing')]
    const shown = lines.slice(0, LINES_SHOWN).map((line) => line.replace('would remove ', ''))
    const more = lines.length > LINES_SHOWN ? `; and ${lines.length - LINES_SHOWN} more` : ''
    return [warning(`${shown.join('; ')}${more}`, 'podwire gc')]
  },
}

export const ATTACHMENTS: readonly Examination[] = [records, drift, garbage]
