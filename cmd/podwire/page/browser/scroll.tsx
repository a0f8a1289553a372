// What may be larger than its place. It takes the focus, so that the arrow keys scroll it (WCAG 2.1.1).

import type { ComponentChildren } from 'preact'

interface ScrollProps {
  /** Id of what names it. */
  readonly labelledBy: string
  readonly children: ComponentChildren
}

export function Scroll({ labelledBy, children }: ScrollProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: else it could not be scrolled without a mouse
    <section class="scroll" tabIndex={0} aria-labelledby={labelledBy}>
      {children}
    </section>
  )
}
