// What the reference tells of the fields of lib/attach/stacked-fields.ts.

import type { FieldNote } from '../cni/reference.ts'

export const DNS_NOTE: FieldNote = {
  more: 'It stands in place of what the IPAM plugin says.',
  upstream: 'without it, what the IPAM plugin says is lost',
}

export const STACKED_NOTES: Readonly<Record<string, FieldNote>> = {
  master: { absent: 'the link of the default route' },
  mtu: { absent: 'that of `master`, as with 0', unit: 'bytes' },
  dns: DNS_NOTE,
}
