// The node's own interfaces: its ways to the rest of the world first.

import type { PictureLink, PictureNode, PicturePod } from '../picture.ts'
import { Layer, Trunk } from './layer.tsx'
import { count } from './text.ts'

interface InterfacesProps {
  readonly links: readonly PictureLink[]
  readonly pods: readonly PicturePod[]
  readonly node: PictureNode
}

export function Interfaces({ links, pods, node }: InterfacesProps) {
  const bridges = new Set(pods.map(({ bridge }) => bridge))
  const own = links.filter(({ name }) => !bridges.has(name))
  const uplinks = own.filter(({ defaultVia }) => defaultVia.length > 0)
  const others = own.filter(({ defaultVia }) => defaultVia.length === 0)
  return (
    <>
      <p class="outside">Outside: other hosts, other nodes, the internet</p>
      <Trunk />
      <Layer name="interfaces" title="The node’s interfaces" about={aboutText(uplinks, node)}>
        <ul class="cards">
          {[...uplinks, ...others].map((link) => (
            <LinkCard key={link.name} link={link} />
          ))}
        </ul>
      </Layer>
      <Trunk />
    </>
  )
}

function aboutText(uplinks: readonly PictureLink[], { name }: PictureNode): string {
  if (uplinks.length === 0) return `${name} has no default route: what pods send out of it has no way to go.`
  const ways = uplinks.map((link) => link.name).join(' and ')
  return `Packets leave and reach ${name} by ${ways}: ${count(uplinks.length, 'link')} with a default route.`
}

function LinkCard({ link }: { link: PictureLink }) {
  const { name, kind, mac, mtu, state, addresses, defaultVia } = link
  return (
    <li class={defaultVia.length > 0 ? 'card is-uplink' : 'card'}>
      <h3>
        <span class={`dot is-${state.replace(' ', '-')}`} aria-hidden="true" />
        {name} <small>{kindText(kind, name)}</small>
      </h3>
      <ul class="addresses">
        {addresses.map((address) => (
          <li key={address}>{address}</li>
        ))}
      </ul>
      <p class="facts">
        {state}, MTU {mtu}
        {mac !== '' && name !== 'lo' && <> · {mac}</>}
      </p>
      {defaultVia.map((via) => (
        <p class="facts" key={via}>
          default route{via === '' ? '' : ` via ${via}`}
        </p>
      ))}
    </li>
  )
}

function kindText(kind: string, name: string): string {
  if (name === 'lo') return 'loopback: the node itself'
  return kind
}
