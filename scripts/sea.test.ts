import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { findVariable } from './elf.ts'
import { findSnapshotHashes, SNAPSHOT_HASHES } from './sea.ts'

interface Table {
  /** Of V8's flags, in bytes. */
  readonly size?: number
  /** Of the flag that is looked for. */
  readonly value?: number
  /** More entries: what each says, after its name. */
  readonly more?: string
  readonly pointer?: string
}

/** A program that has flags as V8 does: the one that is looked for is the third byte. */
function compile(
  directory: string,
  { size = 64, value = 0, more = '', pointer = 'flags + 2' }: Table,
): Buffer {
  const file = join(directory, 'program')
  const source = `
char flags[${size}] asm("${SNAPSHOT_HASHES.flags}") = { 1, 1, ${value}, 1 };
char initial asm("${SNAPSHOT_HASHES.initial}") = 1, other = 1;
char *table[] = { "first", flags, &other, "rehash_snapshot", ${pointer}, &initial, ${more} "last", flags + 3, &other };
int main(void) { return table[1][0]; }`
  execFileSync('gcc', ['-O0', '-no-pie', '-o', file, '-x', 'c', '-'], { input: source })
  return readFileSync(file)
}

test('findSnapshotHashes finds the flag in the table, and a place that is none', (t) => {
  const program = compile(t.testdir(), {})
  const flags = findVariable(program, SNAPSHOT_HASHES.flags)
  const { pointerAt, unused } = findSnapshotHashes(program)
  t.equal(program.readBigUInt64LE(pointerAt), BigInt(flags.address + 2))
  t.equal(unused, flags.address + 56)
  t.end()
})

test('findSnapshotHashes refuses flags that are others', (t) => {
  const rows: [what: string, table: Table][] = [
    ['two flags with this default', { more: '"twin", flags + 1, &initial,' }],
    ['a default without a value before it', { pointer: '&other' }],
    ['no room behind the last one', { size: 16 }],
    ['it is set from the start', { value: 1 }],
  ]
  for (const [what, table] of rows)
    t.throws(
      () => findSnapshotHashes(compile(t.testdir(), table)),
      { message: /flags of V8 .* are others/ },
      what,
    )
  t.end()
})
