// Tables (NFT_MSG_*TABLE): the name space that holds chains, sets and maps.

import { readPayload } from '../netlink/request.ts'
import { familyName, MESSAGES, type NftFamily } from './messages.ts'
import { commentUserdata, readComment, UDATA } from './userdata.ts'

export interface NftTable {
  readonly family: NftFamily
  readonly name: string
  readonly comment?: string
}

/** `inet podwire` */
export function tableName({ family, name }: NftTable): string {
  return `${family} ${name}`
}

export function tableText(table: NftTable): string {
  return tableName(table) + (table.comment === undefined ? '' : ` { comment "${table.comment}"; }`)
}

/** No flags: a table that someone put to sleep (`dormant`) is woken by adding it again. */
export function newTableAttributes(table: NftTable) {
  return {
    NFTA_TABLE_NAME: table.name,
    NFTA_TABLE_FLAGS: 0,
    ...commentUserdata('NFTA_TABLE_USERDATA', table.comment),
  }
}

/** @throws RangeError when the payload is none of a table */
export function readTable(payload: Uint8Array): NftTable {
  const { header, attributes: a } = readPayload(MESSAGES.table.NEW, payload)
  const comment = readComment(a.NFTA_TABLE_USERDATA, UDATA.table.comment)
  return {
    family: familyName(header.nfgen_family),
    name: a.NFTA_TABLE_NAME ?? '',
    ...(comment === undefined ? {} : { comment }),
  }
}
