// What stands between a runtime and a plugin (SPEC.md, "Execution protocol"): variables and stdin in, result or error
// out. The order of the checks and their words are those of upstream's skel, so that a runtime sees no difference.
//
// Two things differ on purpose. The check that the pod's namespace is not the plugin's own is the plugin's, before it
// does anything; upstream checks afterwards. And what only DEL would stumble over (arguments, a broken prevResult)
// does not stop a DEL.

import { parseArgs, parseArgsLeniently } from './args.ts'
import { configVersion, networkName, parseConfigText } from './config-text.ts'
import { type CallVariables, type Environment, readEnvironment } from './environment.ts'
import { CNI_CODE, CniError, encodeError, printJson, toCniError } from './errors.ts'
import type { Plugin } from './plugin.ts'
import type { Command, Request } from './request.ts'
import { encodeResult, parseResult, type Result } from './result.ts'
import { findField } from './schema.ts'
import { encodeVersions, NEWEST_VERSION, requireVersion, type SpecVersion } from './versions.ts'

export interface Invocation {
  readonly environment: Environment
  /** Called at most once, and not for VERSION. */
  readonly readStdin: () => string
}

export interface Outcome {
  /** 0, or 1 with the error object on stdout. */
  readonly exitStatus: number
  readonly stdout: string
  readonly stderr: string
  /** What was thrown, when the verb failed: for who may have the call made by another. */
  readonly thrown?: unknown
}

export interface About {
  /** `1.2.3`, without the v that is printed before it. */
  readonly version: string
  /** The name that the plugin was called by, when it is not its own. */
  readonly name?: string
}

/** The ports, or how to open them: called only when a verb really runs, not for VERSION and not for bad input. */
export type PortsSource<P> = P | (() => P | Promise<P>)

interface Call<P> {
  readonly plugin: Plugin<P>
  readonly ports: PortsSource<P>
  readonly invocation: Invocation
}

/** Runs one command of a plugin. Never throws and never touches the process: everything is in the outcome. */
export async function invoke<P>(
  plugin: Plugin<P>,
  ports: PortsSource<P>,
  invocation: Invocation,
  about: About,
): Promise<Outcome> {
  // Upstream prints this whatever else is wrong: it is what a person sees who starts a plugin by hand.
  const { CNI_COMMAND: command } = invocation.environment
  if (command === undefined || command === '') return aboutText(plugin, about)
  // Filled in as soon as it is known, for the error object.
  const answer = { version: newestOf(plugin) }
  try {
    return success(await runCommand({ plugin, ports, invocation }, answer))
  } catch (thrown) {
    const stdout = encodeError(toCniError(thrown), answer.version)
    return { exitStatus: 1, stdout, stderr: '', thrown }
  }
}

/** @returns what goes to stdout */
async function runCommand<P>(call: Call<P>, answer: { version: SpecVersion }): Promise<string> {
  const { plugin, ports, invocation } = call
  const variables = readEnvironment(invocation.environment)
  if (variables.command === 'VERSION') return encodeVersions(plugin.supportedVersions)
  const stdin = readStdin(invocation)
  const netconf = parseConfigText(stdin)
  answer.version =
    plugin.supportedVersions.find((one) => one === findField(netconf, 'cniVersion')) ?? answer.version
  const name = networkName(netconf)
  const command = requireCommand(variables.command)
  const cniVersion = requireVersion(command, configVersion(netconf), plugin.supportedVersions)
  answer.version = cniVersion
  const given = { command, stdin, netconf, name, cniVersion }
  const request = readRequest(given, variables, invocation.environment)
  return runVerb(plugin, await openPorts(ports), request)
}

type Config = Pick<Request, 'command' | 'stdin' | 'netconf' | 'name' | 'cniVersion'>

function readRequest(config: Config, variables: CallVariables, environment: Environment): Request {
  const { containerId, netns, ifname, path, netnsOverride } = variables
  return {
    ...config,
    containerId,
    netns,
    ifname,
    path,
    netnsOverride,
    args: readArgs(config.command, variables.args),
    prevResult: readPrevResult(config),
    environment,
  }
}

/** Only what makes or compares an attachment has to understand every argument. */
function readArgs(command: Command, text: string): ReadonlyMap<string, string> {
  return command === 'ADD' || command === 'CHECK' ? parseArgs(text) : parseArgsLeniently(text)
}

async function runVerb<P>(plugin: Plugin<P>, ports: P, request: Request): Promise<string> {
  switch (request.command) {
    case 'ADD':
      return printResult(plugin, ports, { request, result: await plugin.add(ports, request) })
    case 'CHECK':
      await plugin.check(ports, request)
      break
    case 'DEL':
      await plugin.del(ports, request)
      break
    case 'GC':
      await plugin.gc?.(ports, request)
      break
    case 'STATUS':
      await plugin.status?.(ports, request)
      break
  }
  return ''
}

/** An ADD whose result cannot be said in the config's version has failed; what it made must go. */
async function printResult<P>(
  plugin: Plugin<P>,
  ports: P,
  added: { request: Request; result: Result },
): Promise<string> {
  const { request, result } = added
  try {
    return printJson(encodeResult(result, request.cniVersion))
  } catch (unspeakable) {
    await plugin.del(ports, { ...request, command: 'DEL' }).catch((cause: unknown) => {
      throw new AggregateError([unspeakable, cause], toCniError(unspeakable).message)
    })
    throw unspeakable
  }
}

/** @throws CniError 6; for DEL a result that cannot be read is the same as none */
function readPrevResult({ command, netconf, cniVersion }: Config): Result | undefined {
  const value = findField(netconf, 'prevResult') ?? undefined
  if (value === undefined || command === 'GC' || command === 'STATUS') return undefined
  try {
    return parseResult(value, cniVersion)
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    if (command === 'DEL') return undefined
    throw new CniError(CNI_CODE.decodingFailure, `could not parse prevResult: ${error.message}`, {
      cause: error,
    })
  }
}

function readStdin(invocation: Invocation): string {
  try {
    return invocation.readStdin()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CniError(CNI_CODE.ioFailure, `error reading from stdin: ${why}`, { cause })
  }
}

function requireCommand(command: string): Command {
  switch (command) {
    case 'ADD':
    case 'CHECK':
    case 'DEL':
    case 'GC':
    case 'STATUS':
      return command
    default:
      throw new CniError(CNI_CODE.invalidEnvironment, `unknown CNI_COMMAND: ${command}`)
  }
}

async function openPorts<P>(ports: PortsSource<P>): Promise<P> {
  return typeof ports === 'function' ? await (ports as () => P | Promise<P>)() : ports
}

/** nerdctl reads the version out of the first line. */
function aboutText(plugin: Plugin<never>, about: About): Outcome {
  const versions = plugin.supportedVersions.join(', ')
  const stderr = `CNI ${about.name ?? plugin.name} plugin v${about.version}\nCNI protocol versions supported: ${versions}\n`
  return { exitStatus: 0, stdout: '', stderr }
}

function newestOf(plugin: Plugin<never>): SpecVersion {
  return plugin.supportedVersions.at(-1) ?? NEWEST_VERSION
}

function success(stdout: string): Outcome {
  return { exitStatus: 0, stdout, stderr: '' }
}
