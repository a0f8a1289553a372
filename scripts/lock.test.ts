// What is installed is what was looked at: package-lock.json has a hash of every package that a build can get.

import { readFileSync } from 'node:fs'
import { test } from 'tap'

interface Entry {
  readonly integrity?: string
  readonly optional?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
}

/** Those of other systems are named without one: a build here never asks for them. */
function isForHere({ os = ['linux'], cpu = [], libc = ['glibc'] }: Entry): boolean {
  const isOurs = cpu.length === 0 || cpu.some((one) => ['x64', 'arm64'].includes(one))
  return os.includes('linux') && isOurs && libc.includes('glibc')
}

test('package-lock.json has a hash of every package for Linux', async (t) => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, Entry>
  }
  const entries = Object.entries(packages).filter(([path]) => path !== '')
  const missing = entries.filter(([, entry]) => !entry.integrity?.startsWith('sha512-'))
  t.ok(entries.length > 100)
  t.strictSame(
    missing.filter(([path, entry]) => !entry.optional || (isForHere(entry) && !/musl|android/.test(path))),
    [],
  )
})

test('versions are named exactly', async (t) => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>
  const kinds = ['dependencies', 'optionalDependencies']
  const loose = kinds
    .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
    .filter(([, version]) => !/^\d+\.\d+\.\d+/.test(version))
  t.strictSame(loose, [])
})
