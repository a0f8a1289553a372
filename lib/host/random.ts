// Random octets for names and MAC addresses. They need no secrecy, and a collision is caught where it matters
// (EEXIST), so the cheapest generator will do: loading node:crypto costs a process that lives 30 ms too much.

export type RandomBytes = (count: number) => Uint8Array

export const randomBytes: RandomBytes = (count) =>
  Uint8Array.from({ length: count }, () => Math.floor(Math.random() * 256))

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
