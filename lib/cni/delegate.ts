// Delegation (SPEC.md, "Plugin delegation"): a plugin has another do part of its work, IPAM above all.
//
// Our own plugins run in this process, on the same request and ports; any other is found in CNI_PATH and executed
// with the same environment and the same stdin. The behaviour seen from outside is the same.

import type { Environment } from './environment.ts'
import { CNI_CODE, CniError, toCniError } from './errors.ts'
import type { Garbage, Plugin } from './plugin.ts'
import type { Command, Request } from './request.ts'
import { parseResult, type Result } from './result.ts'
import { findField, isObject } from './schema.ts'
import { requireVersion } from './versions.ts'

export interface Delegates {
  /**
   * Our own plugin of this name. It gets the ports that the caller of `delegateAdd` and its like has, which must be
   * those that it was written for; the registry of plugins and the ports come from the same place.
   */
  readonly inProcess: (type: string, path: readonly string[]) => Plugin<never> | undefined
  readonly exec: DelegateExec
}

export interface DelegatePorts {
  readonly delegates: Delegates
}

/** Finds and runs the plugins of others; the real one is in delegate-exec.ts. */
export interface DelegateExec {
  /** @throws CniError 999 when no directory of the path has it */
  find(type: string, path: readonly string[]): Promise<string>
  /** @throws CniError when it cannot be started; however it ends is not an error here */
  run(call: DelegateCall): Promise<DelegateExit>
}

export interface DelegateCall {
  /** Path of the executable. */
  readonly file: string
  readonly stdin: string
  readonly environment: Environment
}

export interface DelegateExit {
  /** Null when a signal ended it. */
  readonly status: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

type Verb = Exclude<Command, 'VERSION'>

/**
 * Has the delegate ADD, and when that fails DEL, as the spec demands.
 *
 * A delegate in this process needs no DEL: `Plugin.add` leaves nothing behind when it throws. One would even do harm:
 * of an ADD that is refused because the attachment exists already, it would take the live pod's address.
 *
 * @throws CniError with the delegate's own code, message and details; 999 when it cannot be found or run
 */
export async function delegateAdd(ports: DelegatePorts, type: string, request: Request): Promise<Result> {
  const plugin = ports.delegates.inProcess(type, request.path)
  if (plugin !== undefined) return plugin.add(ports as never, admit(plugin, request, 'ADD'))
  const file = await ports.delegates.exec.find(type, request.path)
  try {
    return parseOutput(type, await execute(ports, file, { type, request, command: 'ADD' }), request)
  } catch (failure) {
    await execute(ports, file, { type, request, command: 'DEL' }).catch((second: unknown) => {
      throw withCleanupFailure(failure, second)
    })
    throw failure
  }
}

/** @throws as delegateAdd */
export async function delegateDel(ports: DelegatePorts, type: string, request: Request): Promise<void> {
  const plugin = ports.delegates.inProcess(type, request.path)
  if (plugin !== undefined) return plugin.del(ports as never, admit(plugin, request, 'DEL'))
  await findAndExecute(ports, { type, request, command: 'DEL' })
}

/** @throws as delegateAdd */
export async function delegateCheck(ports: DelegatePorts, type: string, request: Request): Promise<void> {
  const plugin = ports.delegates.inProcess(type, request.path)
  if (plugin !== undefined) return plugin.check(ports as never, admit(plugin, request, 'CHECK'))
  await findAndExecute(ports, { type, request, command: 'CHECK' })
}

/** What the delegate's GC takes away; of a plugin that is executed only it knows. @throws as delegateAdd */
export async function findDelegateGarbage(
  ports: DelegatePorts,
  type: string,
  request: Request,
): Promise<Garbage[]> {
  const plugin = ports.delegates.inProcess(type, request.path)
  if (plugin !== undefined)
    return (await plugin.findGarbage?.(ports as never, admit(plugin, request, 'GC'))) ?? []
  const remove = async () => {
    await findAndExecute(ports, { type, request, command: 'GC' })
  }
  return [{ what: `whatever ${type} has`, why: 'it does its own GC', remove }]
}

/** @throws as delegateAdd */
export async function delegateStatus(ports: DelegatePorts, type: string, request: Request): Promise<void> {
  const plugin = ports.delegates.inProcess(type, request.path)
  if (plugin !== undefined) return plugin.status?.(ports as never, admit(plugin, request, 'STATUS'))
  await findAndExecute(ports, { type, request, command: 'STATUS' })
}

/** What skel would have checked had the delegate been executed: that its versions fit. */
function admit(plugin: Plugin<never>, request: Request, command: Verb): Request {
  requireVersion(command, request.cniVersion, plugin.supportedVersions)
  return { ...request, command }
}

interface Execution {
  readonly type: string
  readonly request: Request
  readonly command: Verb
}

async function findAndExecute(ports: DelegatePorts, execution: Execution): Promise<void> {
  const file = await ports.delegates.exec.find(execution.type, execution.request.path)
  await execute(ports, file, execution)
}

/** @returns what the delegate printed */
async function execute(
  ports: DelegatePorts,
  file: string,
  { type, request, command }: Execution,
): Promise<string> {
  const environment = { ...request.environment, CNI_COMMAND: command }
  const exit = await ports.delegates.exec.run({ file, stdin: request.stdin, environment })
  if (exit.status !== 0) throw delegateError(exit, `delegate ${JSON.stringify(type)} at ${file}, ${command}`)
  return exit.stdout
}

/** A delegate that prints no version means that of the config (containernetworking/cni#895); `null` is no result. */
function parseOutput(type: string, stdout: string, request: Request): Result {
  const subject = `delegate ${JSON.stringify(type)}`
  if (stdout.trim() === '') throw new CniError(CNI_CODE.decodingFailure, `${subject} printed no result`)
  const value = parseJson(stdout)
  if (value === undefined) {
    throw new CniError(CNI_CODE.decodingFailure, `${subject} printed no JSON: ${excerpt(stdout)}`)
  }
  try {
    return parseResult(value ?? {}, request.cniVersion)
  } catch (cause) {
    throw new CniError(CNI_CODE.decodingFailure, `${subject}: ${toCniError(cause).message}`, { cause })
  }
}

/** Words for a delegate that failed without saying why are upstream's. */
function delegateError(exit: DelegateExit, details: string): CniError {
  const end = exit.signal === null ? `exit status ${exit.status}` : `signal: ${exit.signal}`
  const fail = (message: string) => new CniError(CNI_CODE.internal, message, { details })
  if (exit.stdout.trim() === '') {
    if (exit.stderr === '') return fail(`netplugin failed with no error message: ${end}`)
    return fail(`netplugin failed: ${excerpt(exit.stderr)}: ${end}`)
  }
  return (
    parseErrorObject(exit.stdout) ??
    fail(`netplugin failed but error parsing its diagnostic message ${excerpt(exit.stdout)}: ${end}`)
  )
}

function parseErrorObject(stdout: string): CniError | undefined {
  const value = parseJson(stdout)
  if (!isObject(value)) return undefined
  const code = findField(value, 'code')
  const message = findField(value, 'msg')
  const details = findField(value, 'details')
  if (typeof message !== 'string' || message === '') return undefined
  const known = typeof code === 'number' && Number.isSafeInteger(code) && code > 0 ? code : CNI_CODE.internal
  return new CniError(known, message, { details: typeof details === 'string' ? details : '' })
}

function withCleanupFailure(failure: unknown, second: unknown): CniError {
  const { code, message, details } = toCniError(failure)
  const { message: secondMessage } = toCniError(second)
  const parts = [details, ...(secondMessage === message ? [] : [`its DEL failed too: ${secondMessage}`])]
  return new CniError(code, message, { details: parts.filter(Boolean).join('; '), cause: failure })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: the caller says what was expected and shows what came.
    return undefined
  }
}

/** Text of a stranger in a message: quoted, and cut where it gets long. */
function excerpt(text: string): string {
  return JSON.stringify(text.length > 1000 ? `${text.slice(0, 1000)}...` : text)
}
