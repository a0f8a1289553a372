// The fake port: the parameters of one namespace in memory, those that Podwire and its tests meet. The same suite
// holds for it and for the real one (sysctl.contract.ts).

import { constants } from 'node:os'
import { type Sysctl, SysctlError, type SysctlKey, type SysctlSetting } from './sysctl.ts'

/** Each link has these, and `all` and `default` do. A new link takes the values of `default`. */
const OF_LINKS: Readonly<Record<'ipv4' | 'ipv6', Readonly<Record<string, string>>>> = {
  ipv4: {
    accept_local: '0',
    arp_announce: '0',
    arp_ignore: '0',
    arp_notify: '0',
    forwarding: '0',
    promote_secondaries: '0',
    proxy_arp: '0',
    route_localnet: '0',
    rp_filter: '0',
    send_redirects: '1',
  },
  ipv6: {
    accept_dad: '1',
    accept_ra: '1',
    autoconf: '1',
    disable_ipv6: '0',
    enhanced_dad: '1',
    forwarding: '0',
    keep_addr_on_down: '0',
    ndisc_notify: '0',
    proxy_ndp: '0',
  },
}
/** Of these, a value for `all` is written to every link and to `default`. */
const FOR_ALL = ['ipv4/forwarding', 'ipv6/forwarding', 'ipv6/disable_ipv6']
const OF_NAMESPACE: Readonly<Record<SysctlKey, string>> = {
  'core/somaxconn': '4096',
  'ipv4/ip_unprivileged_port_start': '1024',
}
const IP_FORWARD = 'ipv4/ip_forward'

export class SysctlFake implements Sysctl {
  readonly #values = new Map<SysctlKey, string>(Object.entries(OF_NAMESPACE))
  readonly #counted = new Map<SysctlKey, string>()
  readonly #initial: ReadonlyMap<SysctlKey, string>
  /** Hears what was written: the rest of the fake kernel minds some of it. */
  onWrite: (key: SysctlKey, value: string) => void = () => undefined
  /** Asked before each write. @returns the name of the errno to refuse it with */
  refuse: (operation: string) => keyof typeof constants.errno | undefined = () => undefined

  constructor() {
    for (const name of ['all', 'default'])
      this.#eachOfLinks((family, parameter, value) => {
        this.#values.set(`${family}/conf/${name}/${parameter}`, value)
      })
    this.#initial = new Map(this.#values)
  }

  find(key: SysctlKey): string | undefined {
    return this.#values.get(realKey(key)) ?? this.#counted.get(key)
  }

  /** Set otherwise than by its file. */
  put(key: SysctlKey, value: string): void {
    this.#write(realKey(key), value)
  }

  /** What the kernel counts, and nobody writes. */
  announce(key: SysctlKey, value: string): void {
    this.#counted.set(key, value)
  }

  set(...settings: readonly SysctlSetting[]): void {
    for (const { key, value, optional } of settings) {
      const current = this.find(key)
      if (current === undefined && !optional) throw refusal(key, value, 'ENOENT')
      if (current === undefined || current === value) continue
      const injected = this.refuse(`sysctl net/${key} ${value}`)
      if (injected !== undefined) throw refusal(key, value, injected)
      if (!/^-?\d+$/.test(value)) throw refusal(key, value, 'EINVAL')
      this.#write(realKey(key), value)
    }
  }

  addLink(name: string): void {
    this.#eachOfLinks((family, parameter, value) => {
      const inherited = this.#values.get(`${family}/conf/default/${parameter}`)
      this.#values.set(`${family}/conf/${name}/${parameter}`, inherited ?? value)
    })
  }

  renameLink(name: string, to: string): void {
    this.#eachOfLinks((family, parameter, value) => {
      const kept = this.#values.get(`${family}/conf/${name}/${parameter}`)
      this.#values.set(`${family}/conf/${to}/${parameter}`, kept ?? value)
    })
    this.removeLink(name)
  }

  removeLink(name: string): void {
    this.#eachOfLinks((family, parameter) => this.#values.delete(`${family}/conf/${name}/${parameter}`))
  }

  /** What was changed, as sorted lines: `sysctl ipv4/ip_forward 1`. */
  dump(): string {
    const usual = (key: SysctlKey) =>
      this.#initial.get(key) ?? this.#initial.get(key.replace(/conf\/[^/]+/, 'conf/default'))
    return [...this.#values]
      .filter(([key, value]) => usual(key) !== value)
      .map(([key, value]) => `sysctl ${key} ${value}\n`)
      .sort()
      .join('')
  }

  #write(key: SysctlKey, value: string): void {
    const [, family, parameter] = /^(ipv[46])\/conf\/all\/(.*)$/.exec(key) ?? []
    const every = FOR_ALL.includes(`${family}/${parameter}`)
    const keys = every
      ? [...this.#values.keys()].filter((other) => isOf(other, `${family}/conf`, `${parameter}`))
      : [key]
    for (const one of keys) {
      this.#values.set(one, value)
      this.onWrite(one, value)
    }
  }

  #eachOfLinks(visit: (family: string, parameter: string, value: string) => void): void {
    for (const [family, parameters] of Object.entries(OF_LINKS)) {
      for (const [parameter, value] of Object.entries(parameters)) visit(family, parameter, value)
    }
  }
}

/** Two names of one switch (net/ipv4/devinet.c). */
function realKey(key: SysctlKey): SysctlKey {
  return key === IP_FORWARD ? 'ipv4/conf/all/forwarding' : key
}

function isOf(key: SysctlKey, directory: string, parameter: string): boolean {
  return key.startsWith(`${directory}/`) && key.endsWith(`/${parameter}`)
}

function refusal(key: SysctlKey, value: string, code: keyof typeof constants.errno): SysctlError {
  const cause = Object.assign(new Error(code), { code, errno: -constants.errno[code] })
  return new SysctlError(`write ${JSON.stringify(value)} to`, key, cause)
}
