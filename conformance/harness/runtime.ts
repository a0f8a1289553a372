// What a container runtime does with a network, and no more: for documents whose reader has a real one.
//
//   node conformance/harness/runtime.ts add|check|del POD [CAPABILITIES]
//
// The first configuration of /etc/cni/net.d is used, plugins are those of /opt/cni/bin. The pod's namespace is
// /run/netns/POD, its container's id POD too; CAPABILITIES is JSON: {"portMappings": [...]}. Errors read as libcni and
// containerd make them, which is how they reach `kubectl describe pod`.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'

const CONF_DIR = '/etc/cni/net.d'
const BIN_DIR = '/opt/cni/bin'
/** As libcni does, it remembers the result for CHECK and DEL. */
const RESULTS = '/run/results'

interface Plugin {
  readonly type: string
  readonly capabilities?: Readonly<Record<string, boolean>>
}

interface Conflist {
  readonly cniVersion: string
  readonly name: string
  readonly plugins: readonly Plugin[]
}

const [verb = '', pod = '', capabilities = '{}'] = process.argv.slice(2)
const list = readList()
const resultFile = `${RESULTS}/${pod}`
let result: unknown = existsSync(resultFile) ? JSON.parse(readFileSync(resultFile, 'utf8')) : undefined
if (verb === 'add') result = undefined
for (const plugin of verb === 'del' ? list.plugins.toReversed() : list.plugins) {
  const answer = execute(plugin)
  if (verb === 'add') result = JSON.parse(answer)
}
mkdirSync(RESULTS, { recursive: true })
if (verb === 'add') writeFileSync(resultFile, JSON.stringify(result))

function readList(): Conflist {
  const names = existsSync(CONF_DIR) ? readdirSync(CONF_DIR).sort() : []
  const first = names.find((name) => name.endsWith('.conflist'))
  if (first === undefined) fail('cni plugin not initialized')
  return JSON.parse(readFileSync(`${CONF_DIR}/${first}`, 'utf8')) as Conflist
}

function execute(plugin: Plugin): string {
  const { type } = plugin
  const path = `${BIN_DIR}/${type}`
  if (!existsSync(path)) fail(`failed to find plugin "${type}" in path [${BIN_DIR}]`)
  const { status, stdout } = spawnSync(path, {
    env: {
      ...process.env,
      CNI_COMMAND: verb.toUpperCase(),
      CNI_CONTAINERID: pod,
      CNI_NETNS: existsSync(`/run/netns/${pod}`) ? `/run/netns/${pod}` : '',
      CNI_IFNAME: 'eth0',
      CNI_PATH: BIN_DIR,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`,
    },
    input: configOf(plugin),
    encoding: 'utf8',
  })
  if (status === 0) return stdout
  const { msg, details = '' } = JSON.parse(stdout) as { msg: string; details?: string }
  const text = `${msg}${details === '' ? '' : `; ${details}`}`
  fail(`plugin type="${type}" name="${list.name}" failed (${verb}): ${text}`)
}

function configOf(plugin: Plugin): string {
  const asked = Object.entries(JSON.parse(capabilities) as Record<string, unknown>).filter(
    ([name]) => plugin.capabilities?.[name],
  )
  return JSON.stringify({
    cniVersion: list.cniVersion,
    name: list.name,
    ...plugin,
    ...(asked.length === 0 ? {} : { runtimeConfig: Object.fromEntries(asked) }),
    ...(result === undefined ? {} : { prevResult: result }),
  })
}

function fail(why: string): never {
  const what = verb === 'add' ? 'setup' : 'destroy'
  console.log(verb === 'check' ? why : `failed to ${what} network for sandbox "${pod}": ${why}`)
  process.exit(1)
}
