// Where the page is served: an address that only this machine has, and a port.

import { IpAddress } from '../../../lib/ip/address.ts'
import { Prefix } from '../../../lib/ip/prefix.ts'
import { UsageError } from '../command.ts'

export interface ListenAddress {
  /** `127.0.0.1`, `::1` */
  readonly host: string
  /** 0: one that is free. */
  readonly port: number
}

const LOOPBACK = ['127.0.0.0/8', '::1/128'].map(Prefix.parse)
const FORM = /^(?:\[(?<v6>[^\]]+)\]|(?<v4>[^:]+)):(?<port>\d{1,5})$/

/** @throws UsageError for anything but a loopback address with a port */
export function parseListenAddress(text: string): ListenAddress {
  const { v4, v6, port } = FORM.exec(text)?.groups ?? {}
  const host = parseAddress(v6 ?? v4 ?? '')
  if (host === undefined || port === undefined || Number(port) > 65535)
    throw new UsageError(`"${text}" is no address with a port`, 'such as 127.0.0.1:7070 or [::1]:7070')
  if (!LOOPBACK.some((prefix) => prefix.contains(host)))
    throw new UsageError(
      `the page is not served at ${host}: others than this machine can reach it`,
      'give a loopback address, such as 127.0.0.1:7070, and reach it from elsewhere by ssh -L 7070:127.0.0.1:7070',
    )
  return { host: String(host), port: Number(port) }
}

function parseAddress(text: string): IpAddress | undefined {
  try {
    return IpAddress.parse(text)
  } catch {
    return undefined
  }
}

/** As in a URL. */
export function hostText({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
