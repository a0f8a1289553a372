// Structured logs, silent unless asked for: PODWIRE_LOG names a file to append to, or `stderr`; PODWIRE_LOG_LEVEL is
// `error`, `info` or `debug`. Every line carries the attachment that it is about, and the trace that the caller belongs to.

import { fullPodName } from './full-pod-name.ts'

type Environment = Readonly<Record<string, string | undefined>>

export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  /** Whether debug lines are written: making them costs more than the call. */
  readonly isDebug: boolean
  /** Every message to and from the kernel. */
  debug(fields: LogFields, message: string): void
  /** A call, when it is done. */
  info(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  /** The same log, with these fields in every line. */
  child(fields: LogFields): Log
}

export const silentLog: Log = { isDebug: false, debug() {}, info() {}, error() {}, child: () => silentLog }

/** As `log.child(fields())`, which is made with the first line: most calls write none. */
export function lazyChild(log: Log, fields: () => LogFields): Log {
  let made: Log | undefined
  const child = () => {
    made ??= log.child(fields())
    return made
  }
  return {
    isDebug: log.isDebug,
    debug: (more, message) => child().debug(more, message),
    info: (more, message) => child().info(more, message),
    error: (more, message) => child().error(more, message),
    child: (more) => child().child(more),
  }
}

/** What a line about this call carries: the attachment, the pod, and the trace (W3C Trace Context). */
export function callFields(environment: Environment): LogFields {
  const { CNI_COMMAND, CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS, CNI_ARGS = '' } = environment
  return {
    command: CNI_COMMAND,
    containerId: CNI_CONTAINERID,
    ifname: CNI_IFNAME,
    netns: CNI_NETNS,
    pod: podOf(CNI_ARGS),
    ...traceFields(environment['TRACEPARENT']),
  }
}

/** Read leniently: a line of a log is no place to find fault with arguments. */
function podOf(args: string): string | undefined {
  const name = /(?:^|;)K8S_POD_NAME=([^;]*)/.exec(args)?.[1]
  const namespace = /(?:^|;)K8S_POD_NAMESPACE=([^;]*)/.exec(args)?.[1]
  return name && fullPodName(namespace, name)
}

/** `00-<trace id>-<parent span id>-<flags>`; anything else is no trace. */
function traceFields(traceparent: string | undefined): LogFields {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(traceparent ?? '')
  return match === null ? {} : { traceId: match[1], parentSpanId: match[2] }
}
