import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { findPointers, findVariable } from './elf.ts'

const SOURCE = `
static int first = 41;
int first_too = 42;
static const char name[] = "first";
int *const to_second[] = { 0, &first_too }, *to_first = &first;
int main(void) { return first + first_too + name[0]; }`

function compile(t: Test, ...flags: readonly string[]): string {
  const file = join(t.testdir(), 'program')
  execFileSync('gcc', ['-O0', ...flags, '-o', file, '-x', 'c', '-'], { input: SOURCE })
  return file
}

test('findVariable tells where the initial value of a variable lies', (t) => {
  const file = compile(t, '-no-pie')
  const program = readFileSync(file)
  t.equal(program.readInt32LE(findVariable(program, 'first').at), 41, 'of a static one')
  t.equal(program.readInt32LE(findVariable(program, 'first_too').at), 42)
  t.equal(
    program.toString('latin1', findVariable(program, 'name').at).slice(0, 6),
    'first\0',
    'of a constant',
  )
  t.equal(findVariable(program, 'name').size, 6)
  t.throws(() => findVariable(program, 'irst'), { message: 'no variable "irst"' })
  t.throws(() => findVariable(program, 'second'), { message: 'no variable "second"' })
  execFileSync('strip', [file])
  t.throws(
    () => findVariable(readFileSync(file), 'first'),
    { message: 'no variable "first"' },
    'nor in one without symbols',
  )
  t.end()
})

test('findPointers tells where pointers into a variable lie', (t) => {
  const program = readFileSync(compile(t, '-no-pie'))
  const first = findVariable(program, 'first')
  const second = findVariable(program, 'first_too')
  t.strictSame(findPointers(program, first), [findVariable(program, 'to_first').at])
  t.strictSame(findPointers(program, second), [findVariable(program, 'to_second').at + 8])
  const both = { ...first, size: second.address + second.size - first.address }
  t.equal(findPointers(program, both).length, 2, 'of whatever size')
  const anywhere = readFileSync(compile(t, '-pie', '-fPIE'))
  t.throws(() => findPointers(anywhere, first), { message: 'a program that is loaded anywhere' })
  t.end()
})
