// Whose a kernel object is, written on the object itself: a link's alias, an nftables element's comment. Garbage can
// then be told from what is needed without any record, and a person sees in `ip link` whose wire it is.

import type { AttachmentKey } from '../state/attachments.ts'

type Owner = Omit<AttachmentKey, 'plugin'>

/** An element's comment has room for 253 bytes, a link's alias for 255: no name of an owner may be longer. */
const MAX_NAME_LENGTH = 64
const MAX_ID_LENGTH = 128

/** `<network> <containerId> <ifname>`: none of them has a space. One that is too long is replaced by its digest. */
export function ownerText({ network, containerId, ifname }: Owner): string {
  return `${networkText(network)} ${short(containerId, MAX_ID_LENGTH)} ${ifname}`
}

/** Whether the text is that of an owner in this network. */
export function isOfNetwork(network: string, owner: string): boolean {
  const words = owner.split(' ')
  return words.length === 3 && words[0] === networkText(network)
}

function networkText(network: string): string {
  return short(network, MAX_NAME_LENGTH)
}

function short(text: string, limit: number): string {
  if (text.length <= limit) return text
  return process.getBuiltinModule('node:crypto').createHash('sha256').update(text).digest('hex')
}
