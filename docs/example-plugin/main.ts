// Runs the example from source, as a runtime would run it: `node main.ts`, with parameters in the environment and the
// config on standard input. A plugin of the suite needs no such file: cmd/podwire/registry.ts names it.

import { readFileSync } from 'node:fs'
import { invoke } from '../../lib/cni/skel.ts'
import { openPorts } from '../../lib/host/open-ports.ts'
import { plugin } from './plugin.ts'

const { env: environment, execPath: executable } = process
const outcome = await invoke(
  plugin,
  () => openPorts({ environment, executable, findPlugin: () => undefined, servedPlugin: plugin.name }),
  { environment, readStdin: () => readFileSync(0, 'utf8') },
  { version: '0.0.0' },
)
process.stderr.write(outcome.stderr)
process.stdout.write(outcome.stdout, () => process.exit(outcome.exitStatus))
