// What happens to packets between the node's interfaces and its pods: forwarding, masquerade, host ports.

import type { Picture, PictureHostPort, PictureMasquerade, PictureNode, PicturePod } from '../picture.ts'
import type { Marking } from './app.tsx'
import { Layer, Trunk } from './layer.tsx'
import { Scroll } from './scroll.tsx'
import { podText } from './text.ts'

type CrossingProps = { readonly picture: Picture } & Marking

const ABOUT =
  'The node is a router for its pods. Between its interfaces and their bridge, the kernel decides what passes, and under whose address.'

export function Crossing({ picture, ...marking }: CrossingProps) {
  const { node, masquerade, hostPorts, pods } = picture
  const names = new Map(pods.map((pod) => [pod.id, podText(pod)]))
  return (
    <>
      <Layer name="crossing" title="In and out of the node" about={ABOUT}>
        <div class="columns">
          <Forwarding node={node} />
          <Masquerade {...{ masquerade, pods, names, ...marking }} />
          <HostPorts {...{ hostPorts, names, ...marking }} />
        </div>
      </Layer>
      <Trunk />
    </>
  )
}

function Forwarding({ node: { forwarding } }: { node: PictureNode }) {
  const families = [
    ['IPv4', forwarding.ipv4],
    ['IPv6', forwarding.ipv6],
  ] as const
  return (
    <div>
      <h3>Forwarding</h3>
      <p class="about">Whether the node passes on what is not for itself.</p>
      <ul class="switches">
        {families.map(([family, isOn]) => (
          <li key={family} class={isOn ? 'is-on' : ''}>
            {family} {isOn === null ? 'not in this kernel' : isOn ? 'on' : 'off'}
          </li>
        ))}
      </ul>
    </div>
  )
}

interface MasqueradeProps extends Marking {
  readonly masquerade: readonly PictureMasquerade[]
  readonly pods: readonly PicturePod[]
  readonly names: ReadonlyMap<string, string>
}

/** How many are named; the rest is counted. */
const NAMED = 40

function Masquerade({ masquerade, names, marked }: MasqueradeProps) {
  const subnets = Map.groupBy(masquerade, ({ beyond }) => beyond)
  return (
    <div>
      <h3>Masquerade</h3>
      <p class="about">
        {masquerade.length === 0
          ? 'No pod is masqueraded: each leaves the node under its own address.'
          : 'What these pods send beyond their subnet leaves under the node’s address.'}
      </p>
      {[...subnets].map(([beyond, entries]) => (
        <div class="subnet" key={beyond}>
          <p class="facts">
            {entries.length} beyond <b>{beyond || 'an unknown subnet'}</b>
          </p>
          {entries.length <= NAMED && (
            <ul class="tags">
              {entries.map(({ address, pod }) => (
                <li
                  key={address}
                  class={pod !== '' && pod === marked ? 'is-marked' : ''}
                  title={names.get(pod)}
                  data-of={pod || undefined}
                >
                  {address}
                </li>
              ))}
            </ul>
          )}
        </div>
      ))}
    </div>
  )
}

interface HostPortsProps extends Marking {
  readonly hostPorts: readonly PictureHostPort[]
  readonly names: ReadonlyMap<string, string>
}

function HostPorts({ hostPorts, names, marked }: HostPortsProps) {
  if (hostPorts.length === 0)
    return (
      <div>
        <h3>Host ports</h3>
        <p class="about">No port of the node is a pod’s.</p>
      </div>
    )
  return (
    <div>
      <h3 id="host-ports">Host ports</h3>
      <p class="about">What is sent to these ports of the node goes to a pod.</p>
      <Scroll labelledBy="host-ports">
        <table aria-labelledby="host-ports">
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">Pod’s address</th>
              <th scope="col">Pod</th>
            </tr>
          </thead>
          <tbody>
            {hostPorts.map(({ protocol, port, hostIp, address, podPort, pod }) => (
              <tr
                key={`${hostIp} ${port} ${protocol} ${address}`}
                class={pod !== '' && pod === marked ? 'is-marked' : ''}
                data-of={pod || undefined}
              >
                <td>
                  {hostIp !== '' && `${inUrl(hostIp)}:`}
                  {port}/{protocol}
                </td>
                <td>
                  {inUrl(address)}:{podPort}
                </td>
                <td>{names.get(pod) ?? 'nobody that is recorded'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </div>
  )
}

function inUrl(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}
