// The ranges that a cluster has given to this node: `spec.podCIDRs` of its Node object. Asked from the API server over
// plain HTTPS with the pod's service account: one watch of one object is all that is needed, and no client library.
// https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/

import type { ClientRequest, IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { isObject } from '../../lib/cni/schema.ts'
import { CommandError } from './command.ts'
import type { Disk } from './disk.ts'

/** Where the kubelet puts what a pod needs to speak to the API server. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/** A node has its ranges seconds after it has registered; whoever starts us anew then asks again. */
const DEADLINE_MS = 60_000

/** The API server cannot be asked just now, or has no answer: not one that says no. */
export class ApiUnreachable extends CommandError {
  override readonly code = 'EUNREACHABLE'
}

export interface ApiServer {
  readonly host: string
  readonly port: number
  /** PEM: who signs its certificate. */
  readonly ca: string
  /** The service account's. */
  readonly token: string
}

/**
 * The API server as a pod finds it.
 *
 * @throws CommandError where this is no pod, or one without a service account
 */
export function findApiServer(
  { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port }: Environment,
  disk: Disk,
): ApiServer {
  const [ca, token] = ['ca.crt', 'token'].map((name) => disk.read(join(SERVICE_ACCOUNT, name))?.trim())
  if (!host) throw notInPod('KUBERNETES_SERVICE_HOST is not set')
  if (!ca || !token) throw notInPod(`${SERVICE_ACCOUNT} has no ca.crt or no token`)
  return { host, port: Number(port || 443), ca, token }
}

type Environment = Readonly<Record<string, string | undefined>>

function notInPod(why: string): CommandError {
  return new CommandError(
    `find the API server: ${why}`,
    '--node is for pods of the cluster; else use --subnet',
  )
}

/**
 * Waits until the node has ranges, and returns them: one, or one of each family.
 *
 * @param node  name of the Node object
 * @throws ApiUnreachable, or CommandError when the API server refuses, or the node still has none at the deadline
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export async function nodeRanges(
  api: ApiServer,
  node: string,
  deadlineMs: number = DEADLINE_MS,
): Promise<string[]> {
  const signal = AbortSignal.timeout(deadlineMs)
  const response = await watchNode(api, node, signal)
  let wasTold = false
  try {
    if (response.statusCode !== 200)
      throw refused(api, node, { status: response.statusCode, text: await textOf(response) })
    for await (const line of linesOf(response)) {
      const ranges = rangesIn(line, node)
      if (ranges.length > 0) return ranges
      wasTold = true
    }
  } catch (error) {
    if (error instanceof CommandError) throw error
    if (!signal.aborted) throw unreachable(api, error)
  } finally {
    response.destroy()
  }
  if (!wasTold) throw toldNothing(api, node)
  throw new CommandError(
    `get ranges of node "${node}": it has no spec.podCIDRs yet`,
    'does the controller manager run with --allocate-node-cidrs and --cluster-cidr? Else give --subnet in place of --node',
  )
}

/** Without a resourceVersion the first event is the node as it is; then comes each change. */
function watchNode(api: ApiServer, node: string, signal: AbortSignal): Promise<IncomingMessage> {
  const query = new URLSearchParams({ watch: 'true', fieldSelector: `metadata.name=${node}` })
  const { request } = process.getBuiltinModule('node:https')
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sent: ClientRequest = request({
    host: api.host,
    port: api.port,
    path: `/api/v1/nodes?${query}`,
    ca: api.ca,
    headers: { authorization: `Bearer ${api.token}`, accept: 'application/json' },
    agent: false,
    signal,
  })
  sent.on('response', resolve)
  sent.on('error', (error) => {
    const isDistrusted = Boolean((sent.socket as TLSSocket | null)?.authorizationError)
    reject(unreachable(api, error, isDistrusted ? DISTRUSTED : NO_WAY))
  })
  sent.end()
  return promise
}

/** An event is a line. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = ''
  response.setEncoding('utf8')
  for await (const chunk of response as AsyncIterable<string>) {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8')
  let text = ''
  for await (const chunk of response as AsyncIterable<string>) text += chunk
  return text
}

/** @returns none when the event tells of none */
function rangesIn(line: string, node: string): string[] {
  const event: unknown = JSON.parse(line)
  if (!isObject(event) || !isObject(event['object'])) return []
  const { type, object } = event as { type: unknown; object: Readonly<Record<string, unknown>> }
  if (type === 'ERROR') {
    const Kind = isPassing(object['code']) ? ApiUnreachable : CommandError
    throw new Kind(`watch node "${node}": ${messageOf(object)}`)
  }
  if (type !== 'ADDED' && type !== 'MODIFIED') return []
  const ranges = isObject(object['spec']) ? object['spec']['podCIDRs'] : undefined
  return Array.isArray(ranges) ? ranges.map(String) : []
}

interface Refusal {
  readonly status: number | undefined
  readonly text: string
}

const NEEDS: Readonly<Record<number, string>> = {
  401: 'the API server does not take the token of its service account: has it expired, or is it of another cluster?',
  403: 'its service account needs a ClusterRole that may watch nodes',
}

function refused(api: ApiServer, node: string, { status = 0, text }: Refusal): CommandError {
  const Kind = isPassing(status) ? ApiUnreachable : CommandError
  return new Kind(`watch node "${node}" at ${urlOf(api)}: ${status} ${messageOf(text)}`, NEEDS[status])
}

/** Too many requests, or what a server or a load balancer before it could not do (RFC 9110, RFC 6585): it may pass. */
function isPassing(code: unknown): boolean {
  return typeof code === 'number' && (code === 429 || code >= 500)
}

const LONGEST_TEXT = 200

/** What the API server says is an object of kind Status. */
function messageOf(answer: unknown): string {
  try {
    const status: unknown = typeof answer === 'string' ? JSON.parse(answer) : answer
    return isObject(status) ? String(status['message']) : String(answer)
  } catch {
    return String(answer).replace(/\s+/g, ' ').trim().slice(0, LONGEST_TEXT) // a proxy's own page
  }
}

const NO_WAY =
  'Services must work on this node (kube-proxy), or KUBERNETES_SERVICE_HOST name the server itself'
const DISTRUSTED =
  'its certificate must be signed by the CA of the service account (ca.crt), and be for the address in KUBERNETES_SERVICE_HOST'

function unreachable(api: ApiServer, cause: unknown, remedy = NO_WAY): ApiUnreachable {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new ApiUnreachable(`ask the API server at ${urlOf(api)}: ${why}`, remedy, { cause })
}

function toldNothing(api: ApiServer, node: string): ApiUnreachable {
  return new ApiUnreachable(
    `watch node "${node}" at ${urlOf(api)}: nothing was told of it`,
    'is there a Node of this name? If so, the API server has not answered in time: try again',
  )
}

function urlOf({ host, port }: ApiServer): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`
}
