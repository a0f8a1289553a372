// A buffer that grows while a message is written into it.

const INITIAL_BYTES = 256

export class ByteWriter {
  #bytes = new Uint8Array(INITIAL_BYTES)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

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

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #grow(): void {
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length))
    larger.set(this.#bytes)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}
