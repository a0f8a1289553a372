// Repair of what can be put right without the pod noticing.

import type { Repair } from '../cni/plugin.ts'

/** Something that can be wrong, and can be put right. */
export interface Aspect {
  /** A text for each difference. */
  readonly check: () => Promise<string[]>
  readonly mend: () => Promise<unknown>
}

/** In order; what one finds and cannot mend does not stop the next. */
export async function mendAspects(aspects: readonly Aspect[]): Promise<Repair> {
  const repairs: Repair[] = []
  for (const aspect of aspects) repairs.push(await mendAspect(aspect))
  return { mended: repairs.flatMap(({ mended }) => mended), left: repairs.flatMap(({ left }) => left) }
}

async function mendAspect({ check, mend }: Aspect): Promise<Repair> {
  const found = await check()
  if (found.length === 0) return { mended: [], left: [] }
  try {
    await mend()
    const left = await check()
    return { mended: found.filter((text) => !left.includes(text)), left }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { mended: [], left: found.map((text) => `${text} (${why})`) }
  }
}
