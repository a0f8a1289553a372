// The same pods as a table: for who reads better than looks, and to be copied. Made when it is opened.

import { useState } from 'preact/hooks'
import type { PicturePod } from '../picture.ts'
import { Scroll } from './scroll.tsx'
import { podText, timeText } from './text.ts'

interface PodTableProps {
  readonly pods: readonly PicturePod[]
}

const TITLES = ['Pod', 'Interface', 'Addresses', 'Wire', 'Bridge', 'Network', 'State', 'Since']

export function PodTable({ pods }: PodTableProps) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details class="pod-table" onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>All pods as a table</summary>
      {isOpen && (
        <Scroll labelledBy="all-pods">
          <table>
            <caption class="unseen" id="all-pods">
              All pods of this node
            </caption>
            <thead>
              <tr>
                {TITLES.map((title) => (
                  <th scope="col" key={title}>
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {pods.map((pod) => (
                <tr key={pod.id}>
                  <th scope="row">
                    <button type="button" class="link" data-of={pod.id}>
                      {podText(pod)}
                    </button>
                  </th>
                  <td>{pod.ifname}</td>
                  <td>
                    {pod.addresses.map((address) => (
                      <div key={address}>{address}</div>
                    ))}
                  </td>
                  <td>{pod.wire?.name ?? ''}</td>
                  <td>{pod.bridge}</td>
                  <td>{pod.network}</td>
                  <td>{[pod.state, ...pod.troubles].join(', ')}</td>
                  <td>{timeText(pod.createdAtMs)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </details>
  )
}
