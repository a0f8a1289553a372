// Pools of addresses, a square for each address.

import type { PicturePod, PicturePool, Square } from '../picture.ts'
import type { Marking } from './app.tsx'
import { Layer } from './layer.tsx'
import { manyText, podText } from './text.ts'

interface PoolsProps extends Marking {
  readonly pools: readonly PicturePool[]
  readonly pods: readonly PicturePod[]
}

const ABOUT =
  'A pod gets an address out of each pool that its network has. One that is given back rests for a while before the next pod has it.'

export function Pools({ pools, pods, ...marking }: PoolsProps) {
  if (pools.length === 0) return null
  const names = new Map(pods.map((pod) => [pod.id, podText(pod)]))
  return (
    <Layer name="pools" title="Addresses" about={ABOUT}>
      <ul class="legend">
        <li class="is-held">held by a pod</li>
        <li class="is-released">given back</li>
        <li class="is-free">never used</li>
        <li class="is-reserved">never handed out</li>
      </ul>
      <div class="pools">
        {pools.map((pool) => (
          <Pool key={`${pool.network} ${pool.range}`} {...{ pool, names, ...marking }} />
        ))}
      </div>
    </Layer>
  )
}

interface PoolProps extends Marking {
  readonly pool: PicturePool
  readonly names: ReadonlyMap<string, string>
}

const COLUMNS = 32
const CELL = 10
const SIDE = 8

function Pool({ pool, names, marked }: PoolProps) {
  const { network, range, used, total, squares, perSquare, rest } = pool
  const rows = Math.ceil(squares.length / COLUMNS)
  const summary = `${used} of ${manyText(total)} held`
  return (
    <figure class="pool">
      <figcaption>
        <h3>{network}</h3>
        <p class="mono">{range}</p>
        <p class="facts">
          {summary}
          {perSquare !== '1' && `, a square is ${manyText(perSquare)} addresses`}
          {rest !== '0' && `; ${manyText(rest)} more, never used`}
        </p>
        <progress value={shareOf(pool)} max={1} aria-label={`${network} ${range}: ${summary}`} />
      </figcaption>
      <svg
        viewBox={`0 0 ${COLUMNS * CELL} ${rows * CELL}`}
        role="img"
        aria-label={`Map of ${range}: ${summary}`}
      >
        {squares.map((square, i) => {
          const { pod = '' } = square
          return (
            <rect
              key={square.first}
              x={(i % COLUMNS) * CELL + (CELL - SIDE) / 2}
              y={Math.floor(i / COLUMNS) * CELL + (CELL - SIDE) / 2}
              width={SIDE}
              height={SIDE}
              rx={1.5}
              class={classOf(square, { perSquare, isMarked: pod !== '' && pod === marked })}
              data-of={pod || undefined}
            >
              <title>{titleOf(square, names.get(pod))}</title>
            </rect>
          )
        })}
      </svg>
    </figure>
  )
}

function shareOf({ used, total }: PicturePool): number {
  return total === '0' ? 1 : Math.min(1, used / Number(total))
}

function classOf(
  { held, released, reserved }: Square,
  { perSquare, isMarked }: { perSquare: string; isMarked: boolean },
): string {
  if (isMarked) return 'is-held is-marked'
  if (held > 0) return Number(perSquare) === 1 || held > Number(perSquare) / 2 ? 'is-held' : 'is-held is-part'
  if (released > 0) return 'is-released'
  return reserved ? 'is-reserved' : 'is-free'
}

function titleOf({ first, held, released, reserved }: Square, name: string | undefined): string {
  if (held > 0) return `${first}: ${name ?? `${held} held`}`
  if (released > 0) return `${first}: given back`
  return `${first}: ${reserved ? 'never handed out' : 'never used'}`
}
