// What every plugin's config may have (SPEC.md, "Plugin configuration objects"). A plugin spreads these fields into
// the schema of its own config and says more of `ipam`, `args` and `runtimeConfig` where it reads them:
//
//   object({ ...commonFields, bridge: string({ default: 'cni0' }), runtimeConfig: object({ mac: string() }) })

import { CNI_CODE, CniError } from './errors.ts'
import { dnsSchema } from './result.ts'
import { alias, type Infer, json, list, nullable, object, type Schema, string } from './schema.ts'

const attachmentFields = object({
  containerID: string({ doc: 'its CNI_CONTAINERID' }),
  ifname: string({ doc: 'its CNI_IFNAME' }),
})

/** One attachment that GC must leave alone. Half a name would be nobody's, and the pod that was meant would go. */
const attachmentSchema: Schema<Infer<typeof attachmentFields>> = {
  ...attachmentFields,
  read(value, path) {
    const attachment = attachmentFields.read(value, path)
    for (const name of ['containerID', 'ifname'] as const) {
      if (attachment[name] !== '') continue
      throw new CniError(CNI_CODE.invalidNetconf, `${path}.${name}: expected a name, got none`)
    }
    return attachment
  },
}

export const commonFields = {
  cniVersion: string({ doc: 'version of the CNI spec that the config is written in' }),
  cniVersions: list(string(), { doc: 'more such versions; the runtime takes the highest that it knows' }),
  name: string({ doc: 'name of the network, unique on the node' }),
  type: string({ doc: 'name of the plugin: its file in CNI_PATH' }),
  ipam: object({ type: string({ doc: 'name of the plugin that hands out the addresses' }) }),
  dns: dnsSchema,
  args: json({ doc: 'values given by the runtime, by convention under args.cni' }),
  runtimeConfig: json({ doc: 'values of the capabilities that the config asks for, given by the runtime' }),
  prevResult: json({ doc: 'result of the plugins before this one, given by the runtime' }),
  /**
   * GC only; the caller decides what each means: undefined is a key that is not there (`cnitool gc`), null is a
   * nil slice of libcni, [] says that nothing is attached. libcni also sends the list under an older, mistaken name
   * (containernetworking/cni#1101), which is read when the right one is not there.
   */
  'cni.dev/valid-attachments': alias(
    nullable(list(attachmentSchema, { doc: 'attachments that GC leaves alone, given by the runtime' })),
    'cni.dev/attachments',
  ),
} as const

export const netconfSchema = object(commonFields)
