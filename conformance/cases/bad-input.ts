// Whatever a runtime gets wrong: one error object with the right code, exit status 1, and nothing made.

import type { Case } from '../harness/case.ts'
import { type Config, callPlugin } from '../harness/plugin.ts'
import type { Stage } from '../harness/stage.ts'
import { RANGE_ROWS } from './bad-input-ranges.ts'
import { ENVIRONMENT_ROWS, FIELD_ROWS, type Row, STDIN_ROWS } from './bad-input-rows.ts'

/** Calls the plugin once per row; each answer must be as the row says, whatever the expected text holds. */
function callRows(rows: readonly Row[], plugin: 'bridge' | 'host-local') {
  return async (stage: Stage) => {
    const { contestant } = stage.node
    let pod = await stage.addPod()
    const type = plugin === 'bridge' ? contestant.bridge : contestant.hostLocal
    const good = stage.bridgeConfig({ isDefaultGateway: true, ipMasq: true })
    for (const row of rows) {
      const { command = 'ADD', environment = {}, fields = {}, ipam, stdin } = row
      const section = ipam === undefined ? {} : { ipam: stage.ipam(ipam) }
      const config: Config | string = stdin ?? { ...good, ...section, ...fields }
      const answer = await stage.call(command, pod, config, { type, environment, as: row.what })
      judge(stage, row, answer.json)
      if (contestant.name === 'upstream') {
        // It may have left its lease and its wire, at which the next row would fail.
        await callPlugin(stage.node, { type, command: 'DEL', pod, config: good })
        await stage.removePod(pod)
        pod = await stage.addPod()
      }
    }
  }
}

function judge(stage: Stage, { what, code, msg, details }: Row, json: unknown): void {
  const error = (json ?? {}) as Record<string, unknown>
  stage.require(error['code'] === code, `${what}: code ${error['code']}, not ${code}`)
  stage.require(msg.test(String(error['msg'])), `${what}: msg ${error['msg']} is not like ${msg}`)
  stage.require(typeof error['cniVersion'] === 'string', `${what}: the error has a cniVersion`)
  if (details) stage.require(details.test(String(error['details'])), `${what}: details ${error['details']}`)
}

export const badInputCases: readonly Case[] = [
  {
    title: 'bridge refuses an environment that breaks the rules',
    play: callRows(ENVIRONMENT_ROWS, 'bridge'),
  },
  { title: 'bridge refuses a config that is none', play: callRows(STDIN_ROWS, 'bridge') },
  { title: 'bridge refuses fields that it cannot use', play: callRows(FIELD_ROWS, 'bridge') },
  { title: 'bridge refuses ranges that it cannot use', play: callRows(RANGE_ROWS, 'bridge') },
  {
    title: 'host-local refuses an environment that breaks the rules',
    play: callRows(ENVIRONMENT_ROWS, 'host-local'),
  },
  { title: 'host-local refuses a config that is none', play: callRows(STDIN_ROWS, 'host-local') },
  { title: 'host-local refuses ranges that it cannot use', play: callRows(RANGE_ROWS, 'host-local') },
]
