// A buffer that grows while a message is written into it.

const INITIAL_BYTES = 4096

/** Made together and kept together: to make a view takes longer than to write through it. */
interface Space {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView
}

/** Of a writer that has finished, for the next: zero bytes throughout. */
let spare: Space | undefined

export class ByteWriter {
  #space: Space
  #length = 0

  constructor() {
    this.#space = spare ?? spaceOf(INITIAL_BYTES)
    spare = undefined
  }

  get length(): number {
    return this.#length
  }

  /** Valid until the next `skip` or `bytes`. */
  get view(): DataView {
    return this.#space.view
  }

  /** Appends `count` zero bytes. @returns the offset of the first of them */
  skip(count: number): number {
    const offset = this.#length
    this.#length += count
    if (this.#length > this.#space.bytes.length) this.#grow()
    return offset
  }

  bytes(value: Uint8Array): void {
    const offset = this.skip(value.length) // may replace #space
    this.#space.bytes.set(value, offset)
  }

  /** Zero bytes up to the next multiple of 4 (NLMSG_ALIGN, NLA_ALIGN). */
  align(): void {
    this.skip((4 - (this.#length & 3)) & 3)
  }

  /** @returns what was written; the writer is empty again */
  finish(): Uint8Array {
    const { bytes } = this.#space
    const written = bytes.slice(0, this.#length)
    if (bytes.length === INITIAL_BYTES) {
      bytes.fill(0, 0, this.#length)
      spare = this.#space
    }
    this.#space = NOTHING // the next writer has it
    this.#length = 0
    return written
  }

  #grow(): void {
    const { bytes } = this.#space
    const larger = spaceOf(Math.max(bytes.length * 2, this.#length))
    larger.bytes.set(bytes)
    this.#space = larger
  }
}

function spaceOf(length: number): Space {
  const bytes = new Uint8Array(length)
  return { bytes, view: new DataView(bytes.buffer) }
}

const NOTHING = spaceOf(0)
