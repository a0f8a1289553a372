// One pod: what ADD made for it, step by step, and what of it is there now.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { InterfaceStory, PodStory, StoryAdd, StoryCall, StoryRow, StoryStep } from '../picture.ts'
import { explainStep } from './explain.ts'
import { usePolled } from './poll.ts'
import { Scroll } from './scroll.tsx'
import { msText, timeText } from './text.ts'

interface StoryProps {
  readonly id: string
  readonly title: string
  readonly apiKey: string
  readonly isPaused: boolean
  readonly onClose: () => void
}

export function Story({ id, title, apiKey, isPaused, onClose }: StoryProps) {
  const [container = ''] = id.split('/')
  const { value, isMissing } = usePolled<PodStory>({ path: `/api/pods/${container}`, apiKey, isPaused })
  const heading = useRef<HTMLHeadingElement>(null)
  useLayoutEffect(() => heading.current?.focus(), [id])
  useEffect(() => {
    const onKey = ({ key }: KeyboardEvent) => key === 'Escape' && onClose()
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [onClose])
  return (
    <aside class="story" aria-labelledby="story">
      <header>
        <h2 id="story" tabIndex={-1} ref={heading}>
          {title}
        </h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </header>
      {isMissing && <p class="trouble">It is gone: nothing of it is attached any more.</p>}
      {value === undefined && !isMissing && <p>Looking…</p>}
      {value?.interfaces.map((one) => (
        <Interface key={one.pod.ifname} story={one} />
      ))}
    </aside>
  )
}

function Interface({ story }: { story: InterfaceStory }) {
  const { pod, netns, drifts, notChecked, rows, adds } = story
  const facts = [
    ['Interface', pod.ifname],
    ['Network', pod.network],
    ['Addresses', pod.addresses.join('  ')],
    ['Namespace', netns],
    ['Container', pod.container],
    ['Attached', timeText(pod.createdAtMs)],
  ]
  return (
    <>
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Verdict drifts={drifts} notChecked={notChecked} />
      <h3>What ADD did</h3>
      {adds.map((add) => (
        <Add key={add.plugin} add={add} />
      ))}
      <h3 id={`made-${pod.ifname}`}>What it made, and what is there</h3>
      <Rows rows={rows} label={`made-${pod.ifname}`} />
    </>
  )
}

function Verdict({ drifts, notChecked }: Pick<InterfaceStory, 'drifts' | 'notChecked'>) {
  return (
    <div class={drifts.length === 0 ? 'verdict is-good' : 'verdict is-bad'}>
      <p>{drifts.length === 0 ? '✓ CHECK: all is as ADD made it' : '✗ CHECK finds a difference:'}</p>
      <ul>
        {drifts.map((text) => (
          <li key={text}>{text}</li>
        ))}
        {notChecked.map((text) => (
          <li key={text}>not checked: {text}</li>
        ))}
      </ul>
    </div>
  )
}

function Add({ add: { plugin, call } }: { add: StoryAdd }) {
  return (
    <section class="add" aria-label={`ADD of ${plugin}`}>
      <h4>
        {plugin} {call !== null && <span class="total">{msText(call.durationMs)}</span>}
      </h4>
      {call === null ? (
        <p class="about">
          Not seen by this daemon: a process of its own made it, or an earlier daemon. There are no times;
          what it made is below.
        </p>
      ) : (
        <Steps call={call} />
      )}
    </section>
  )
}

function Steps({ call }: { call: StoryCall }) {
  const [withLooks, setWithLooks] = useState(false)
  const looks = call.steps.filter(({ does }) => does === 'look').length
  const shown = call.steps.filter(({ does, kind }) => withLooks || does !== 'look' || kind === 'namespace')
  return (
    <>
      <ol class="steps">
        {shown.map((step, i) => (
          <Step key={`${i} ${step.atMs}`} step={step} total={call.durationMs} />
        ))}
      </ol>
      <label class="looks">
        <input type="checkbox" checked={withLooks} onInput={() => setWithLooks(!withLooks)} />
        also the {looks} times that it only looked
      </label>
    </>
  )
}

function Step({ step, total }: { step: StoryStep; total: number }) {
  const { atMs, durationMs, kind, where, does, hasFailed, lines } = step
  const percent = (ms: number) => `${Math.min(100, (ms / Math.max(total, 0.001)) * 100).toFixed(2)}%`
  return (
    <li class={`step of-${kind} does-${does}${hasFailed ? ' has-failed' : ''}`}>
      <p class="when">
        <span>{msText(durationMs)}</span>
        <span class="unseen">, {msText(atMs)} after it began</span>
        <span class="lane" aria-hidden="true" title={`${msText(atMs)} after it began`}>
          <span class="bar" style={{ marginInlineStart: percent(atMs), width: percent(durationMs) }} />
        </span>
      </p>
      <p class="what">
        {explainStep(step)}
        {hasFailed && refusalText(kind)} <span class="place">{where === 'pod' ? 'in the pod' : kind}</span>
      </p>
      <ul class="lines">
        {lines.map((line, i) => (
          <li key={`${i} ${line}`}>
            <code>{line}</code>
          </li>
        ))}
      </ul>
    </li>
  )
}

/** The ADD has succeeded: it has dealt with the refusal. nftables refuses elements of a set that is not there. */
function refusalText(kind: string): string {
  return kind === 'nftables' ? ' (refused: the table is not all there yet)' : ' (refused)'
}

function Rows({ rows, label }: { rows: readonly StoryRow[]; label: string }) {
  const places = Map.groupBy(rows, ({ place }) => place)
  return (
    <Scroll labelledBy={label}>
      <table class="made" aria-labelledby={label}>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Recorded</th>
            <th scope="col">Is</th>
          </tr>
        </thead>
        {[...places].map(([place, members]) => (
          <tbody key={place}>
            <tr>
              <th scope="rowgroup" colSpan={3}>
                {place}
              </th>
            </tr>
            {members.map(({ what, recorded, found, differs }, i) => (
              <tr key={`${i} ${what}`} class={differs ? 'differs' : ''}>
                <th scope="row">{what}</th>
                <td>{recorded ?? ''}</td>
                <td>{found ?? (differs ? '✗ missing' : '')}</td>
              </tr>
            ))}
          </tbody>
        ))}
      </table>
    </Scroll>
  )
}
