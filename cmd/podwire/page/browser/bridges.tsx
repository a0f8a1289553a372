// Bridges, and on each the pods that are plugged into it by their wires. A pod is a button; within a bridge the arrow keys
// go from one to the next, so that Tab does not take five hundred steps.

import type { TargetedKeyboardEvent } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import type { PictureLink, PicturePod } from '../picture.ts'
import type { Marking } from './app.tsx'
import { Layer } from './layer.tsx'
import { byName, count, endsOf, podText, withoutLength } from './text.ts'

interface BridgesProps extends Marking {
  readonly links: readonly PictureLink[]
  readonly pods: readonly PicturePod[]
  /** Those that are looked for. */
  readonly shown: ReadonlySet<string>
}

export function Bridges({ links, pods, shown, ...marking }: BridgesProps) {
  const groups = Map.groupBy(pods, ({ bridge }) => bridge)
  if (pods.length === 0) return <NoPods />
  return (
    <div class="bridges">
      {[...groups].sort().map(([bridge, members]) => (
        <Layer
          key={bridge}
          name={`bridge ${bridge}`}
          title={bridge === '' ? 'Pods without a bridge' : <>Bridge {bridge}</>}
          about={aboutText(bridge, members)}
        >
          {bridge !== '' && <BridgeFacts link={links.find(({ name }) => name === bridge)} />}
          <Ports {...{ bridge, pods: members, shown, ...marking }} />
        </Layer>
      ))}
      <p class="hint">Arrow keys move between pods. Enter shows one, Escape goes back.</p>
    </div>
  )
}

function NoPods() {
  return (
    <Layer name="bridge" title="Pods" about="No pod is attached. The first one that is makes its bridge.">
      <p class="about">
        A bridge is a switch in software: each pod is plugged into it by a wire of its own, a veth pair.
      </p>
    </Layer>
  )
}

function aboutText(bridge: string, pods: readonly PicturePod[]): string {
  if (bridge === '')
    return `${count(pods.length, 'pod')} with a wire and a route of their own (ptp), or with an interface on one of the node’s (macvlan, ipvlan, vlan).`
  const plugged = pods.length === 1 ? '1 pod is plugged in' : `${pods.length} pods are plugged in, each`
  return `A switch in software. ${plugged} by a veth pair: a wire with one end here and the other in the pod.`
}

function BridgeFacts({ link }: { link: PictureLink | undefined }) {
  if (link === undefined) return <p class="trouble">The bridge is gone.</p>
  const { mac, mtu, state, addresses } = link
  return (
    <p class="bridge-facts">
      <span class={`dot is-${state.replace(' ', '-')}`} aria-hidden="true" />
      {state} · {addresses.length === 0 ? 'no gateway address ' : 'gateway '}
      {addresses.map((address) => (
        <b class="mono" key={address}>
          {address}{' '}
        </b>
      ))}
      · {mac} · MTU {mtu}
    </p>
  )
}

/** Up to how many pods each is drawn with all that is known of it, and up to how many with its name. */
const [MAX_CARDS, MAX_CHIPS] = [24, 120]

function densityOf(many: number): 'cards' | 'chips' | 'tiles' {
  if (many <= MAX_CARDS) return 'cards'
  return many <= MAX_CHIPS ? 'chips' : 'tiles'
}

interface PortsProps extends Marking {
  readonly bridge: string
  readonly pods: readonly PicturePod[]
  readonly shown: ReadonlySet<string>
}

function Ports({ bridge, pods: members, shown, marked }: PortsProps) {
  const pods = useMemo(() => byName(members), [members])
  const ends = useMemo(() => endsOf(pods.map(({ addresses: [first = ''] }) => first)), [pods])
  const [current, setCurrent] = useState('')
  const density = densityOf(pods.length)
  const stop = pods.some(({ id }) => id === current) ? current : pods[0]?.id
  return (
    <ul
      class={`ports as-${density}${bridge === '' ? ' without-bridge' : ''}`}
      aria-label={bridge === '' ? 'Pods without a bridge' : `Pods on ${bridge}`}
      onKeyDown={moveFocus}
    >
      {pods.map((pod, i) => {
        const { id } = pod
        return (
          <li key={id} class={classesOf(pod, { isMarked: id === marked, isShown: shown.has(id) })}>
            <button
              type="button"
              data-of={id}
              tabIndex={id === stop ? 0 : -1}
              aria-label={labelOf(pod)}
              onFocus={() => setCurrent(id)}
            >
              <Wire {...{ pod, density }} />
              <PodBody {...{ pod, density, end: ends[i] ?? '' }} />
            </button>
          </li>
        )
      })}
    </ul>
  )
}

function classesOf(
  { troubles, state }: PicturePod,
  { isMarked, isShown }: { isMarked: boolean; isShown: boolean },
): string {
  return [
    ...(troubles.length > 0 ? ['in-trouble'] : []),
    ...(isMarked ? ['is-marked'] : []),
    ...(isShown ? [] : ['is-dim']),
    `is-${state}`,
  ].join(' ')
}

function labelOf(pod: PicturePod): string {
  const { addresses, wire, troubles, ifname } = pod
  return [
    podText(pod),
    `${ifname} ${addresses.map(withoutLength).join(' ')}`,
    ...(wire === null ? [] : [`on ${wire.name}`]),
    ...troubles,
  ].join(', ')
}

type Density = ReturnType<typeof densityOf>

/** What leads to the pod: the node's end of its wire, or another kind of interface. */
function portText({ wire, bridge, plugins: [first = ''], troubles }: PicturePod): string {
  if (wire !== null) return wire.name
  return bridge === '' && troubles.length === 0 ? first.replace(/^cni-/, '') : 'no wire'
}

function Wire({ pod, density }: { pod: PicturePod; density: Density }) {
  return (
    <>
      {density !== 'tiles' && <span class="port">{portText(pod)}</span>}
      <span class="wire" />
    </>
  )
}

function PodBody({ pod, density, end }: { pod: PicturePod; density: Density; end: string }) {
  const { addresses, ifname, namespace, mac, troubles } = pod
  const [first = ''] = addresses
  if (density === 'tiles') return <span class="pod">{first === '' ? '?' : end}</span>
  if (density === 'chips') {
    return (
      <span class="pod">
        <b class="name">{pod.name || podText(pod)}</b>
        <span class="mono">{withoutLength(first)}</span>
      </span>
    )
  }
  return (
    <span class="pod">
      <b class="name">
        {namespace !== '' && <small>{namespace}/</small>}
        {pod.name || podText(pod)}
      </b>
      <span class="mono">
        {ifname} {mac}
      </span>
      {addresses.map((address) => (
        <span class="mono address" key={address}>
          {address}
        </span>
      ))}
      {troubles.map((text) => (
        <span class="why" key={text}>
          {text}
        </span>
      ))}
    </span>
  )
}

function moveFocus(event: TargetedKeyboardEvent<HTMLUListElement>): void {
  const buttons = [...event.currentTarget.querySelectorAll('button')]
  const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
  const to = at < 0 ? undefined : targetOf(event.key, at, buttons)
  const button = to === undefined ? undefined : buttons[to]
  if (button === undefined) return
  event.preventDefault()
  button.focus()
}

/** @returns undefined when it is no key that moves, or there is nothing in that direction */
function targetOf(key: string, at: number, buttons: readonly HTMLElement[]): number | undefined {
  const columns = buttons.findIndex(({ offsetTop }) => offsetTop > (buttons[0]?.offsetTop ?? 0))
  const row = columns < 1 ? buttons.length : columns
  switch (key) {
    case 'ArrowRight':
      return at + 1
    case 'ArrowLeft':
      return at - 1
    case 'ArrowDown':
      return at + row
    case 'ArrowUp':
      return at - row
    case 'Home':
      return 0
    case 'End':
      return buttons.length - 1
    default:
      return undefined
  }
}
