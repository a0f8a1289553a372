// All about one pod, for the page: what is recorded beside what the kernel has, what CHECK says, and the steps of its
// ADDs as far as this daemon has seen them.

import type { StepLog } from '../../../lib/daemon/step-log.ts'
import type { Attachment } from '../../../lib/state/attachments.ts'
import { type Attached, listAttached } from '../attached.ts'
import { isDifferent, viewAttached } from '../kernel-view.ts'
import { type Checking, checkAttached } from '../recorded-check.ts'
import type { InterfaceStory, PodStory, StoryAdd } from './picture.ts'
import { describePod } from './take-picture.ts'

/** @returns undefined when nothing of this container is attached */
export async function tellPod(
  checking: Checking,
  log: StepLog,
  containerId: string,
): Promise<PodStory | undefined> {
  const { ports } = checking
  const attached = listAttached(ports, { container: containerId }).filter(
    (one) => one.containerId === containerId,
  )
  if (attached.length === 0) return undefined
  const interfaces: InterfaceStory[] = []
  for (const one of attached) interfaces.push(await tellInterface(checking, log, one))
  return { atMs: ports.clock.nowMs(), interfaces }
}

async function tellInterface(checking: Checking, log: StepLog, attached: Attached): Promise<InterfaceStory> {
  const { drifts, unknown } = await checkAttached(checking, attached)
  const rows = await viewAttached(checking.ports, attached)
  return {
    pod: describePod(attached),
    netns: attached.netns,
    rows: rows.map((row) => ({
      place: row.place,
      what: row.what,
      recorded: row.recorded ?? null,
      found: row.found ?? null,
      differs: isDifferent(row),
    })),
    drifts,
    notChecked: unknown,
    adds: attached.attachments.map((attachment) => tellAdd(log, attachment)),
  }
}

function tellAdd(log: StepLog, attachment: Attachment): StoryAdd {
  const { plugin, createdAtMs } = attachment
  const seen = log.find(plugin, attachment)
  // Another ADD of the same name may have been made elsewhere since.
  const isThis =
    seen !== undefined &&
    !seen.hasFailed &&
    createdAtMs >= seen.endedAtMs - seen.durationMs - SKEW_MS &&
    createdAtMs <= seen.endedAtMs
  if (!isThis) return { plugin, recordedAtMs: createdAtMs, call: null }
  return {
    plugin,
    recordedAtMs: createdAtMs,
    call: {
      atMs: seen.endedAtMs - seen.durationMs,
      durationMs: seen.durationMs,
      hasFailed: seen.hasFailed,
      steps: seen.steps,
    },
  }
}

/** Times of the record are whole milliseconds. */
const SKEW_MS = 2
