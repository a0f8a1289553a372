import type { Delegates } from '../cni/delegate.ts'
import type { Ports } from './ports.ts'

/** The same ports, but for how other plugins are found and run. Nothing of them is opened by that. */
export function withDelegates(ports: Ports, changes: Partial<Delegates>): Ports {
  return Object.create(ports, { delegates: { value: { ...ports.delegates, ...changes } } }) as Ports
}
