// As much of ELF as it takes to find a variable of a program in its file (elf(5)); 64 bits, little-endian.

const SECTION_HEADERS_AT = 0x28
const SECTION_COUNT_AT = 0x3c
const SECTION_HEADER_SIZE = 64
const SYMBOL_SIZE = 24
const SHT_SYMTAB = 2

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
 * @returns where in the file its initial value lies, in bytes
 * @throws Error when there is no such variable
 */
export function findVariable(file: Buffer, name: string): number {
  const sections = readSections(file)
  for (const table of sections.filter(({ type }) => type === SHT_SYMTAB)) {
    const names = sections[table.link]
    if (names === undefined) continue
    const wanted = Buffer.from(`\0${name}\0`)
    const at = file.subarray(names.offset, names.offset + names.size).indexOf(wanted)
    if (at < 0) continue
    for (let symbol = table.offset; symbol < table.offset + table.size; symbol += SYMBOL_SIZE) {
      if (file.readUInt32LE(symbol) !== at + 1) continue
      const section = sections[file.readUInt16LE(symbol + 6)]
      if (section !== undefined)
        return Number(file.readBigUInt64LE(symbol + 8)) - section.address + section.offset
    }
  }
  throw new Error(`no variable "${name}"`)
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
