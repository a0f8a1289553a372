// What belongs to a pod has its id (`data-of`), wherever it is drawn: pointed at, all of it is marked; clicked, the pod is
// chosen. For the keyboard there are the pods' buttons.

import { useEffect } from 'preact/hooks'

interface Pointing {
  readonly onPoint: (id: string) => void
  readonly onChoose: (id: string) => void
}

function podOf({ target }: Event): string {
  const element = target instanceof Element ? target.closest<HTMLElement | SVGElement>('[data-of]') : null
  return element?.dataset['of'] ?? ''
}

export function usePointing({ onPoint, onChoose }: Pointing): void {
  useEffect(() => {
    const point = (event: Event) => onPoint(podOf(event))
    const leave = () => onPoint('')
    const choose = (event: Event) => {
      const id = podOf(event)
      if (id !== '') onChoose(id)
    }
    const listeners = { mouseover: point, focusin: point, mouseleave: leave, click: choose }
    for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener)
    return () => {
      for (const [name, listener] of Object.entries(listeners)) document.removeEventListener(name, listener)
    }
  }, [onPoint, onChoose])
}
