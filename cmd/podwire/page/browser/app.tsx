// The whole page: a node from the outside in, and beside it the story of the pod that was chosen.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Picture, PicturePod } from '../picture.ts'
import { Bridges } from './bridges.tsx'
import { Crossing } from './crossing.tsx'
import { Interfaces } from './interfaces.tsx'
import { PodTable } from './pod-table.tsx'
import { usePointing } from './pointing.ts'
import { type Connection, usePolled } from './poll.ts'
import { Pools } from './pools.tsx'
import { Story } from './story.tsx'
import { changeText, count, podText, timeText } from './text.ts'

export function App({ apiKey }: { apiKey: string }) {
  const [isPaused, setPaused] = useState(false)
  const { value: picture, connection } = usePolled<Picture>({ path: '/api/node', apiKey, isPaused })
  if (apiKey === '' || connection === 'refused') return <NoKey hadOne={apiKey !== ''} />
  if (picture === undefined)
    return <p class="notice">{connection === 'lost' ? LOST : 'Looking at the node…'}</p>
  const pausing = { isPaused, onPause: () => setPaused(!isPaused) }
  return <Node {...{ picture, connection, apiKey, ...pausing }} />
}

const LOST = 'The daemon does not answer. It is asked again every two seconds.'

function NoKey({ hadOne }: { hadOne: boolean }) {
  return (
    <main class="notice">
      <h1>Podwire</h1>
      <p>
        {hadOne
          ? 'This key is not, or no longer, the daemon’s.'
          : 'This page needs the key that is in its link.'}
      </p>
      <p>
        Root on the node can read the link: <code>cat /run/podwire/page.url</code>
      </p>
    </main>
  )
}

interface NodeProps {
  readonly picture: Picture
  readonly connection: Connection
  readonly apiKey: string
  readonly isPaused: boolean
  readonly onPause: () => void
}

export interface Marking {
  /** The pod that is pointed at, or was chosen: all that is its own is marked. */
  readonly marked: string
}

const NARROW = '(max-width: 62rem)'

function Node({ picture, connection, apiKey, isPaused, onPause }: NodeProps) {
  const [chosen, setChosen] = useState('')
  const [pointed, setPointed] = useState('')
  const [wanted, setWanted] = useState('')
  const { node, pods, links, pools } = picture
  const pod = pods.find(({ id }) => id === chosen)
  const marking = { marked: pointed || chosen }
  usePointing({ onPoint: setPointed, onChoose: setChosen })
  const close = () => {
    const button = document.querySelector<HTMLElement>(`button[data-of="${CSS.escape(chosen)}"]`)
    setChosen('')
    requestAnimationFrame(() => button?.focus())
  }
  useEffect(() => {
    document.title = `${node.name} – Podwire`
  }, [node.name])
  const shown = useMemo(
    () => new Set(pods.filter((one) => matches(one, wanted)).map(({ id }) => id)),
    [pods, wanted],
  )
  return (
    <div class={chosen === '' ? 'frame' : 'frame with-story'}>
      <div class="picture" inert={chosen !== '' && matchMedia(NARROW).matches}>
        <header class="masthead">
          <div>
            <h1>{node.name}</h1>
            <p class="facts">
              <Live connection={connection} /> {count(pods.length, 'pod')} · podwire {node.version}, serving
              since {timeText(node.startedAtMs)}
            </p>
          </div>
          <div class="tools">
            {pods.length > MANY && <Find {...{ wanted, onWant: setWanted, found: shown.size }} />}
            <button type="button" onClick={onPause} aria-pressed={isPaused}>
              Pause
            </button>
          </div>
        </header>
        {connection === 'lost' && (
          <p class="trouble is-over" role="alert">
            {LOST} What is drawn is of {timeText(picture.atMs)}.
          </p>
        )}
        <Announcement picture={picture} />
        {picture.troubles.map((text) => (
          <p class="trouble" key={text}>
            {text}
          </p>
        ))}
        <main class="layers">
          <Interfaces {...{ links, pods, node }} />
          <Crossing {...{ picture, ...marking }} />
          <Bridges {...{ links, pods, shown, ...marking }} />
          <Pools {...{ pools, pods, ...marking }} />
          <PodTable pods={pods} />
        </main>
      </div>
      {chosen !== '' && (
        <Story
          {...{
            id: chosen,
            title: pod === undefined ? chosen : podText(pod),
            apiKey,
            isPaused,
            onClose: close,
          }}
        />
      )}
    </div>
  )
}

/** From how many pods on one looks for a name. */
const MANY = 12

function matches(pod: PicturePod, wanted: string): boolean {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean)
  const text = [podText(pod), pod.container, pod.wire?.name, pod.network, ...pod.addresses]
    .join(' ')
    .toLowerCase()
  return words.every((word) => text.includes(word))
}

interface FindProps {
  readonly wanted: string
  readonly onWant: (text: string) => void
  readonly found: number
}

function Find({ wanted, onWant, found }: FindProps) {
  return (
    <label class="find">
      Find a pod
      <input
        type="search"
        value={wanted}
        placeholder="name, address, veth…"
        onInput={({ currentTarget }) => onWant(currentTarget.value)}
      />
      <output>{wanted === '' ? '' : `${found} found`}</output>
    </label>
  )
}

const CONNECTIONS: Readonly<Record<Connection, string>> = {
  asking: 'asking',
  live: 'live',
  paused: 'paused',
  refused: 'refused',
  lost: 'no answer',
}

function Live({ connection }: { connection: Connection }) {
  return <span class={`live is-${connection}`}>{CONNECTIONS[connection]}</span>
}

/** At most so often: a screen reader should have time for other things. */
const QUIET_MS = 5000

function Announcement({ picture }: { picture: Picture }) {
  const [text, setText] = useState('')
  const told = useRef({ picture, atMs: 0 })
  useEffect(() => {
    const { picture: before, atMs } = told.current
    const news = changeText(before, picture)
    if (news === '' || picture.atMs - atMs < QUIET_MS) return
    told.current = { picture, atMs: picture.atMs }
    setText(news)
  }, [picture])
  return (
    <p class="unseen" role="status">
      {text}
    </p>
  )
}
