/** Put in by scripts/bundle.ts. */
declare const PODWIRE_VERSION: string | undefined

export const version = typeof PODWIRE_VERSION === 'string' ? PODWIRE_VERSION : 'from source'
