// A buffer that grows while a message is written into it.

const INITIAL_BYTES = 4096
const NOTHING = new Uint8Array(0)

/** Of a writer that has finished, for the next: zero bytes throughout. */
let spare: Uint8Array<ArrayBuffer> | undefined

export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>
  #view: DataView
  #length = 0

  constructor() {
    this.#bytes = spare ?? new Uint8Array(INITIAL_BYTES)
    this.#view = new DataView(this.#bytes.buffer)
    spare = undefined
  }

  get length(): number {
    return this.#length
  }

  /** Valid until the next `skip` or `bytes`. */
  get view(): DataView {
    return this.#view
  }

  /** Appends `count` zero bytes. @returns the offset of the first of them */
  skip(count: number): number {
    const offset = this.#length
    this.#length += count
    if (this.#length > this.#bytes.length) this.#grow()
    return offset
  }

  bytes(value: Uint8Array): void {
    const offset = this.skip(value.length) // may replace #bytes
    this.#bytes.set(value, offset)
  }

  /** Zero bytes up to the next multiple of 4 (NLMSG_ALIGN, NLA_ALIGN). */
  align(): void {
    this.skip((4 - (this.#length & 3)) & 3)
  }

  /** @returns what was written; the writer is empty again */
  finish(): Uint8Array {
    const written = this.#bytes.slice(0, this.#length)
    if (this.#bytes.length === INITIAL_BYTES) spare = this.#bytes.fill(0, 0, this.#length)
    this.#bytes = NOTHING // the next writer has it
    this.#length = 0
    return written
  }

  #grow(): void {
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length))
    larger.set(this.#bytes)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}
