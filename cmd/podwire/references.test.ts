// The reference is held to what the plugins do: what it says of a field is tried on the parser that reads it.

import { test } from 'tap'

import { CniError } from '../../lib/cni/errors.ts'
import { type PluginReference, referenceFields } from '../../lib/cni/reference.ts'
import type { Request } from '../../lib/cni/request.ts'
import { findField, isObject, type Schema, type Shape } from '../../lib/cni/schema.ts'
import type { Ports } from '../../lib/host/ports.ts'
import { parseNetconf as bandwidth } from '../cni-bandwidth/netconf.ts'
import { parseNetconf as bridge } from '../cni-bridge/netconf.ts'
import { parse as dummy } from '../cni-dummy/netconf.ts'
import { parseNetconf as firewall } from '../cni-firewall/netconf.ts'
import { parseNetconf as hostDevice } from '../cni-host-device/netconf.ts'
import { parse as ipvlan } from '../cni-ipvlan/netconf.ts'
import { parse as macvlan } from '../cni-macvlan/netconf.ts'
import { parseNetconf as portmap } from '../cni-portmap/netconf.ts'
import { parseNetconf as ptp } from '../cni-ptp/netconf.ts'
import { parseNetconf as sbr } from '../cni-sbr/netconf.ts'
import { parseNetconf as tuning } from '../cni-tuning/netconf.ts'
import { parse as vlan } from '../cni-vlan/netconf.ts'
import { parseNetconf as vrf } from '../cni-vrf/netconf.ts'
import { parseNetconf as hostLocal } from '../ipam-host-local/netconf.ts'
import { parseNetconf as ipamStatic } from '../ipam-static/netconf.ts'
import { ALL_REFERENCES } from './references.ts'
import { PLUGIN_NAMES } from './registry.ts'

/** To parse a config nothing is opened. */
const NO_PORTS = {} as Ports

const PARSERS: Readonly<Record<string, (request: Request) => unknown>> = {
  'cni-bandwidth': bandwidth,
  'cni-bridge': bridge,
  'cni-dummy': (request) => dummy(NO_PORTS, request),
  'cni-firewall': ({ netconf }) => firewall(netconf),
  'cni-host-device': hostDevice,
  'cni-ipvlan': (request) => ipvlan(NO_PORTS, request),
  'cni-loopback': () => undefined,
  'cni-macvlan': (request) => macvlan(NO_PORTS, request),
  'cni-portmap': ({ netconf }) => portmap(netconf),
  'cni-ptp': ptp,
  'cni-sbr': sbr,
  'cni-tuning': tuning,
  'cni-vlan': (request) => vlan(NO_PORTS, request),
  'cni-vrf': vrf,
  'ipam-host-local': hostLocal,
  'ipam-static': ipamStatic,
}

/** What no value alone can make right. */
const NEEDS_ANOTHER: Readonly<Record<string, readonly string[]>> = {
  'cni-bridge': ['vlanTrunk[].minID', 'vlanTrunk[].maxID'],
  'cni-bandwidth': ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'],
}

type Config = Readonly<Record<string, unknown>>

test('the reference has every plugin, in some order', async (t) => {
  t.same(ALL_REFERENCES.map(({ name }) => name).sort(), [...PLUGIN_NAMES].sort())
  t.same(Object.keys(PARSERS).sort(), [...PLUGIN_NAMES].sort())
})

for (const plugin of ALL_REFERENCES) {
  const { name, schema, notes, args } = plugin
  const config = configOf(plugin)
  const refusal = (changed: Config, request: Partial<Request> = {}) => refusalOf(name, changed, request)

  test(`the reference of ${name} describes every field, and none that is not there`, async (t) => {
    const fields = referenceFields(plugin)
    t.same(
      fields.filter(({ doc }) => doc === '').map(({ path }) => path),
      [],
      'without a description',
    )
    const paths = fields.map(({ path }) => path)
    t.same(
      Object.keys(notes).filter((path) => !paths.includes(path)),
      [],
      'notes without a field',
    )
    t.same(
      Object.keys(config).filter(
        (key) => !['type', 'capabilities', ...Object.keys(schema.shape.fields ?? {})].includes(key),
      ),
      [],
      'keys of the example that the plugin does not read',
    )
  })

  test(`${name} takes the example of its reference, and needs what is called required`, async (t) => {
    t.equal(refusal(config), undefined)
    for (const { path, required } of referenceFields(plugin)) {
      const without = changed(config, path, undefined)
      if (required === true) t.not(refusal(without), undefined, `${path} is required`)
      else if (required === undefined) t.equal(refusal(without), undefined, `${path} is not required`)
    }
  })

  test(`${name} takes the values that its reference names, and no others`, async (t) => {
    for (const { path, shape } of shapesOf(schema)) {
      const { good, bad } = borderValues(shape)
      for (const value of bad)
        t.match(refusal(changed(config, path, value)), { code: 7 }, `${path}: ${value}`)
      if (NEEDS_ANOTHER[name]?.includes(path)) continue
      for (const value of good) t.equal(refusal(changed(config, path, value)), undefined, `${path}: ${value}`)
    }
  })

  test(`${name} takes the keys of CNI_ARGS that its reference names`, async (t) => {
    const refused = refusal(config, { args: new Map([['NOBODY', 'knows']]) })
    const own = Object.keys(args ?? {}).filter((key) => !key.startsWith('K8S_'))
    if (args === undefined) t.equal(refused, undefined)
    else
      t.same(refused?.details.replace('known are ', '').split(', ').sort(), ['IgnoreUnknown', ...own].sort())
  })
}

/** The plugin's own part of its example. */
function configOf({ name, example }: PluginReference): Config {
  const own = example.find(({ type, ipam }) => type === name || (isObject(ipam) && ipam['type'] === name))
  if (own === undefined) throw new Error(`the example of ${name} is not about it`)
  return own.type === name ? own : { ipam: own['ipam'] }
}

function refusalOf(plugin: string, netconf: Config, request: Partial<Request>): CniError | undefined {
  try {
    PARSERS[plugin]?.({
      command: 'ADD',
      netconf,
      stdin: JSON.stringify(netconf),
      name: 'pods',
      cniVersion: '1.1.0',
      containerId: 'c1',
      netns: '/run/netns/pod',
      ifname: 'eth0',
      path: [],
      netnsOverride: false,
      args: new Map(),
      prevResult: undefined,
      environment: {},
      ...request,
    })
    return undefined
  } catch (error) {
    if (error instanceof CniError) return error
    throw error
  }
}

/** Every field with what is known of its values, by the paths of the reference. */
function shapesOf(schema: Schema<unknown>, path = ''): { path: string; shape: Shape }[] {
  const { shape } = schema
  if (shape.item !== undefined) return shapesOf(shape.item, `${path}${shape.kind === 'list' ? '[]' : '.*'}`)
  return Object.entries(shape.fields ?? {}).flatMap(([key, field]) => {
    const fieldPath = path === '' ? key : `${path}.${key}`
    return [{ path: fieldPath, shape: field.shape }, ...shapesOf(field, fieldPath)]
  })
}

function borderValues({ kind, values = [], min, max }: Shape): { good: unknown[]; bad: unknown[] } {
  return {
    good: [...values, ...[min, max].filter((limit) => limit !== undefined)],
    bad: [
      ...(kind === 'string' && values.length > 0 ? ['nonsense'] : []),
      ...(min === undefined ? [] : [min - 1]),
      ...(max === undefined ? [] : [max + 1]),
    ],
  }
}

/** A copy with another value at a path; `[]` is the first of a list. What is on the way there is made. */
function changed(config: Config, path: string, value: unknown): Config {
  const [key, ...rest] = path.split(/\.|(?=\[\])/)
  return changedAt(config, [key ?? '', ...rest], value) as Config
}

function changedAt(target: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value
  if (key === '[]') {
    const [first, ...others] = Array.isArray(target) ? target : []
    if (value === undefined && first === undefined) return target
    return [changedAt(first ?? {}, rest, value), ...others]
  }
  const object = (target ?? {}) as Config
  if (value === undefined && findField(object, key) === undefined) return target
  return { ...object, [key]: changedAt(object[key], rest, value) }
}
