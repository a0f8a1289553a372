// A MAC address that is asked for: runtimeConfig.mac, args.cni.mac or MAC in CNI_ARGS, in that order.

import { CNI_CODE, CniError } from '../cni/errors.ts'
import type { Request } from '../cni/request.ts'
import { object, parsed, string } from '../cni/schema.ts'
import { type MacAddress, parseMac } from '../ip/mac.ts'

const macField = parsed(string({ doc: 'MAC address of the pod’s interface' }), parseMac)

/** For the schema of a plugin's config. */
export const macFields = {
  runtimeConfig: object({ mac: macField }),
  args: object({ cni: object({ mac: macField }) }),
} as const

interface MacFields {
  readonly runtimeConfig: { readonly mac: MacAddress | undefined }
  readonly args: { readonly cni: { readonly mac: MacAddress | undefined } }
}

/** @throws CniError 4 when MAC in CNI_ARGS is none */
export function requestedMac(request: Request, { runtimeConfig, args }: MacFields): MacAddress | undefined {
  return runtimeConfig.mac ?? args.cni.mac ?? parseMacArgument(request)
}

function parseMacArgument({ args }: Request): MacAddress | undefined {
  const text = args.get('MAC')
  if (!text) return undefined // an empty one is none, as upstream has it
  try {
    return parseMac(text)
  } catch (cause) {
    throw new CniError(CNI_CODE.invalidEnvironment, `CNI_ARGS: MAC: ${(cause as Error).message}`, { cause })
  }
}
