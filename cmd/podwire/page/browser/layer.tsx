// One layer of the node: its number, its name, what it is, and what is there.

import type { ComponentChildren } from 'preact'

interface LayerProps {
  readonly name: string
  readonly title: ComponentChildren
  readonly about: ComponentChildren
  readonly children: ComponentChildren
}

export function Layer({ name, title, about, children }: LayerProps) {
  const id = `layer-${name.replaceAll(/[^\w-]/g, '-')}`
  return (
    <section class={`layer layer-${name.split(' ')[0]}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        <p>{about}</p>
      </header>
      {children}
    </section>
  )
}

/** What leads from one layer to the next. */
export function Trunk() {
  return <div class="trunk" aria-hidden="true" />
}
