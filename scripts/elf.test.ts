import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { findVariable } from './elf.ts'

const SOURCE = `
static int first = 41;
int first_too = 42;
static const char name[] = "first";
int main(void) { return first + first_too + name[0]; }`

test('findVariable tells where the initial value of a variable lies', (t) => {
  const file = join(t.testdir(), 'program')
  execFileSync('gcc', ['-O0', '-o', file, '-x', 'c', '-'], { input: SOURCE })
  const program = readFileSync(file)
  t.equal(program.readInt32LE(findVariable(program, 'first')), 41, 'of a static one')
  t.equal(program.readInt32LE(findVariable(program, 'first_too')), 42)
  t.equal(program.toString('latin1', findVariable(program, 'name')).slice(0, 6), 'first\0', 'of a constant')
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
