// Something that stands in the way on the node, in the words of the field.

export class BridgeError extends Error {
  readonly code: string
  readonly remedy: string | undefined

  constructor(code: string, message: string, { remedy, cause }: { remedy?: string; cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'BridgeError'
    this.code = code
    this.remedy = remedy
  }
}
