// As much of ELF as it takes to find variables of a program in its file, and what points to them (elf(5)); 64 bits,
// little-endian, of a program that is loaded where it was linked to be.

const TYPE_AT = 0x10
const ET_EXEC = 2
const SECTION_HEADERS_AT = 0x28
const SECTION_COUNT_AT = 0x3c
const SECTION_HEADER_SIZE = 64
const SYMBOL_SIZE = 24
const SHT_PROGBITS = 1
const SHT_SYMTAB = 2
export const POINTER_SIZE = 8

/** In bytes. */
export interface Variable {
  /** Where it lies when the program runs. */
  readonly address: number
  readonly size: number
  /** Where in the file its initial value lies. */
  readonly at: number
}

interface Section {
  readonly type: number
  readonly address: number
  readonly offset: number
  readonly size: number
  /** Of a table of symbols: which section has their names. */
  readonly link: number
}

/**
 * @param file  with its symbols: before strip(1)
 * @param name  as the linker knows it
 * @throws Error when there is no such variable
 */
export function findVariable(file: Buffer, name: string): Variable {
  const sections = readSections(file)
  const wanted = Buffer.from(`${name}\0`)
  for (const table of sections.filter(({ type }) => type === SHT_SYMTAB)) {
    const names = sections[table.link]
    if (names === undefined) continue
    for (let symbol = table.offset; symbol < table.offset + table.size; symbol += SYMBOL_SIZE) {
      // A name may lie at the end of another's: the linker has each text once.
      const nameAt = names.offset + file.readUInt32LE(symbol)
      if (wanted.compare(file, nameAt, nameAt + wanted.length) !== 0) continue
      const section = sections[file.readUInt16LE(symbol + 6)]
      if (section === undefined) continue
      const address = Number(file.readBigUInt64LE(symbol + 8))
      const size = Number(file.readBigUInt64LE(symbol + 16))
      return { address, size, at: address - section.address + section.offset }
    }
  }
  throw new Error(`no variable "${name}"`)
}

/**
 * @returns where in the file pointers to the variable lie, or into it: 4 bytes of address, and 4 zeros
 * @throws Error when the program is loaded anywhere (PIE): its pointers are not what they are in the file
 */
export function findPointers(file: Buffer, { address, size }: Variable): number[] {
  if (file.readUInt16LE(TYPE_AT) !== ET_EXEC) throw new Error('a program that is loaded anywhere')
  const found: number[] = []
  const data = readSections(file).filter(({ type, address }) => type === SHT_PROGBITS && address > 0)
  for (const { offset, size: length } of data)
    for (let at = offset; at + POINTER_SIZE <= offset + length; at += POINTER_SIZE) {
      // Most of a program's words are no addresses of its own: the upper half tells it, and is read faster.
      if (file.readUInt32LE(at + 4) !== 0) continue
      const value = file.readUInt32LE(at)
      if (value >= address && value < address + size) found.push(at)
    }
  return found
}

function readSections(file: Buffer): Section[] {
  const headers = Number(file.readBigUInt64LE(SECTION_HEADERS_AT))
  return Array.from({ length: file.readUInt16LE(SECTION_COUNT_AT) }, (_, i) => {
    const at = headers + i * SECTION_HEADER_SIZE
    const number = (offset: number) => Number(file.readBigUInt64LE(at + offset))
    return {
      type: file.readUInt32LE(at + 4),
      address: number(0x10),
      offset: number(0x18),
      size: number(0x20),
      link: file.readUInt32LE(at + 0x28),
    }
  })
}
