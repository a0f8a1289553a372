// Asks for the same thing again and again, while somebody looks.

import { useEffect, useRef, useState } from 'preact/hooks'

export type Connection = 'asking' | 'live' | 'paused' | 'refused' | 'lost'

export interface Polled<T> {
  readonly value: T | undefined
  /** There is no such thing. */
  readonly isMissing: boolean
  readonly connection: Connection
}

const PERIOD_MS = 2000

interface Asked {
  readonly path: string
  readonly apiKey: string
  readonly isPaused: boolean
}

/** What the last answer of a path was, and how it was told from others. */
interface Known<T> {
  readonly path: string
  readonly value: T | undefined
  readonly etag: string | null
}

export function usePolled<T>({ path, apiKey, isPaused }: Asked): Polled<T> {
  const [known, setKnown] = useState<Known<T>>({ path, value: undefined, etag: null })
  const [connection, setConnection] = useState<Connection>('asking')
  const [missing, setMissing] = useState('')
  const etag = useRef<Known<T>>(known)
  useEffect(() => {
    if (isPaused) return setConnection('paused')
    const stop = new AbortController()
    const ask = async () => {
      const last = etag.current.path === path ? etag.current.etag : null
      const headers = {
        authorization: `Bearer ${apiKey}`,
        ...(last === null ? {} : { 'if-none-match': last }),
      }
      const response = await fetch(path, { headers, cache: 'no-store', signal: stop.signal })
      if (response.status === 401) return setConnection('refused')
      if (response.status === 404) setMissing(path)
      if (response.status === 200) {
        const next = { path, value: (await response.json()) as T, etag: response.headers.get('etag') }
        etag.current = next
        setKnown(next)
        setMissing('')
      }
      setConnection(response.status < 500 ? 'live' : 'lost')
    }
    const askAnyway = () => ask().catch(() => stop.signal.aborted || setConnection('lost'))
    let timer: ReturnType<typeof setTimeout>
    const goOn = async () => {
      if (!document.hidden) await askAnyway()
      if (!stop.signal.aborted) timer = setTimeout(goOn, PERIOD_MS)
    }
    void goOn()
    const onVisible = () => document.hidden || void askAnyway()
    document.addEventListener('visibilitychange', onVisible)
    return () => {
      stop.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisible)
    }
  }, [path, apiKey, isPaused])
  return { value: known.path === path ? known.value : undefined, isMissing: missing === path, connection }
}
