// Exit status 0 when node_modules holds the versions of package-lock.json. Plain JavaScript: it runs on the machine's
// own Node.js, before there is another.

import { existsSync, readFileSync } from 'node:fs'

const HIDDEN_LOCK = 'node_modules/.package-lock.json'

function packagesOf(path) {
  return JSON.parse(readFileSync(path, 'utf8')).packages
}

function isFresh() {
  if (!existsSync(HIDDEN_LOCK)) return false
  const installed = packagesOf(HIDDEN_LOCK)
  // What is optional may be for another machine, and is then not installed.
  return Object.entries(packagesOf('package-lock.json')).every(
    ([path, { version, optional }]) =>
      path === '' || installed[path]?.version === version || (optional && installed[path] === undefined),
  )
}

process.exitCode = isFresh() ? 0 : 1
