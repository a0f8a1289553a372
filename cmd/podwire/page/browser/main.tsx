// The page in the browser. The key came with the link, behind #: browsers keep that to themselves. It stays in this tab.

import { render } from 'preact'
import { App } from './app.tsx'

const STORED = 'podwire key'

function takeKey(): string {
  const [, given] = /^#key=([\w-]+)$/.exec(location.hash) ?? []
  if (given !== undefined) {
    sessionStorage.setItem(STORED, given)
    history.replaceState(null, '', location.pathname)
  }
  return sessionStorage.getItem(STORED) ?? ''
}

const place = document.getElementById('page')
if (place !== null) render(<App apiKey={takeKey()} />, place)
