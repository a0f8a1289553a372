// `podwire check`: whether everything that ADD made is still as it made it.

import { type Attached, podText } from './attached.ts'
import type { Answer } from './command.ts'
import { type Data, formatJson } from './data-formats.ts'
import { type Checked, type Checking, checkAttached } from './recorded-check.ts'
import { formatCount, type Style, visible } from './style.ts'

interface CheckOptions {
  readonly isJson: boolean
  readonly style: Style
  readonly progress: (text: string) => void
}

/** Exit status 1 when something is not as it was made. */
export async function check(
  checking: Checking,
  attached: readonly Attached[],
  { isJson, style, progress }: CheckOptions,
): Promise<Answer> {
  const checked: Checked[] = []
  for (const one of attached) {
    progress(`${checked.length} of ${attached.length}`)
    checked.push(await checkAttached(checking, one))
  }
  const exitStatus = checked.some(({ drifts }) => drifts.length > 0) ? 1 : 0
  return { stdout: isJson ? formatJson(checked.map(checkedData)) : checkedText(checked, style), exitStatus }
}

function checkedText(checked: readonly Checked[], style: Style): string {
  if (checked.length === 0) return 'nothing is attached\n'
  const lines = checked.flatMap(({ attached, drifts, unknown }) => {
    const { ifname, network } = attached
    const verdict = drifts.length > 0 ? style.bad('drifted') : style.good('ok')
    return [
      `${podText(attached)} ${ifname} (${network}): ${verdict}`,
      ...drifts.map((text) => `  ${visible(text)}`),
      ...unknown.map((text) => `  ${style.warn(`not checked: ${visible(text)}`)}`),
    ]
  })
  const bad = checked.filter(({ drifts }) => drifts.length > 0).length
  const end =
    bad === 0
      ? `${formatCount(checked.length, 'attachment')} as ADD made ${checked.length === 1 ? 'it' : 'them'}`
      : `${bad} of ${formatCount(checked.length, 'attachment')} drifted; podwire repair mends what is on the node, a restart of the pod the rest`
  return `${[...lines, end].join('\n')}\n`
}

function checkedData({ attached, drifts, unknown }: Checked): Data {
  const { containerId, ifname, network, podName, podNamespace } = attached
  return {
    pod: podName === '' ? null : { namespace: podNamespace, name: podName },
    container: containerId,
    interface: ifname,
    network,
    ok: drifts.length === 0,
    drifts: [...drifts],
    notChecked: [...unknown],
  }
}
