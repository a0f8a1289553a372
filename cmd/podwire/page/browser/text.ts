// How things are said.

import { fullPodName } from '../../../../lib/log/full-pod-name.ts'
import type { Picture, PicturePod } from '../picture.ts'

/** `default/web-0`, else the beginning of the container's id. */
export function podText({
  namespace,
  name,
  container,
}: Pick<PicturePod, 'namespace' | 'name' | 'container'>): string {
  if (name !== '') return fullPodName(namespace, name)
  return container.length > 24 ? container.slice(0, 13) : container
}

export function withoutLength(address: string): string {
  return address.split('/')[0] ?? address
}

/** By the end of each address, as much of it as tells it from the others: `.37`, or `1.37`. */
export function endsOf(addresses: readonly string[]): string[] {
  const ends = [1, 2, 3].map((parts) => addresses.map((address) => endOf(address, parts)))
  return ends.find((texts) => new Set(texts).size === texts.length) ?? ends[0] ?? []
}

function endOf(address: string, parts: number): string {
  const bare = withoutLength(address)
  const separator = bare.includes(':') ? ':' : '.'
  const end = bare.split(separator).slice(-parts).join(separator)
  return parts === 1 ? `${separator}${end}` : end
}

const NATURAL = new Intl.Collator('en', { numeric: true })

/** As people sort: web-2 before web-10. */
export function byName(pods: readonly PicturePod[]): PicturePod[] {
  return pods.toSorted((a, b) => NATURAL.compare(podText(a), podText(b)) || NATURAL.compare(a.id, b.id))
}

export function count(many: number, one: string, more = `${one}s`): string {
  return `${many} ${many === 1 ? one : more}`
}

/** `2026-11-27 12:38:44 UTC`: what stays true while the page is looked at. */
export function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

export function msText(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(1)} ms`
}

/** What nobody counts is told by its size: `2⁶⁴`. */
export function manyText(text: string): string {
  const many = BigInt(text)
  if (many < 1_000_000_000n) return Number(many).toLocaleString('en')
  const bits = (many + (many >> 16n)).toString(2).length - 1
  return `about 2${[...String(bits)].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('')}`
}

/** For who does not see the picture change; '' when there is nothing to say. */
export function changeText(before: Picture, after: Picture): string {
  const [old, now] = [podsById(before), podsById(after)]
  const parts = [
    ...told(
      [...now.values()].filter(({ id }) => !old.has(id)),
      'attached',
    ),
    ...told(
      [...old.values()].filter(({ id }) => !now.has(id)),
      'gone',
    ),
    ...told(
      [...now.values()].filter(
        ({ id, troubles }) => troubles.length > 0 && (old.get(id)?.troubles.length ?? 0) === 0,
      ),
      'in trouble',
    ),
  ]
  return parts.join(', ')
}

function podsById({ pods }: Picture): ReadonlyMap<string, PicturePod> {
  return new Map(pods.map((pod) => [pod.id, pod]))
}

function told(pods: readonly PicturePod[], what: string): string[] {
  const [only] = pods
  if (only === undefined) return []
  return [pods.length === 1 ? `${podText(only)} ${what}` : `${pods.length} pods ${what}`]
}
