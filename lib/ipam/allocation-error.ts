// Why an attachment gets no address.

export type AllocationErrorCode = 'EEXHAUSTED' | 'EDUPLICATE' | 'ENOTAVAILABLE' | 'EGATEWAY' | 'ENOTINRANGE'

/**
 * The message is upstream's text (host-local's allocator.go and main.go), which clients know; what upstream
 * does not say, numbers, holders and what to do, is in `details`.
 */
export class AllocationError extends Error {
  readonly code: AllocationErrorCode
  readonly details: string

  constructor(code: AllocationErrorCode, message: string, details: string) {
    super(message)
    this.name = 'AllocationError'
    this.code = code
    this.details = details
  }
}
