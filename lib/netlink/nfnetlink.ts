// What all subsystems of netfilter have before their attributes (struct nfgenmsg, linux/netfilter/nfnetlink.h).

import { be16, struct, u8 } from './codecs.ts'

export const nfgenmsg = struct('nfgenmsg', [
  ['nfgen_family', u8],
  ['version', u8],
  ['res_id', be16],
])

export type Nfgenmsg = { nfgen_family: number; version: number; res_id: number }
