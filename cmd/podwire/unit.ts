// `podwire install --systemd`: the daemon as a service of systemd (systemd.unit(5)). Nothing is started: whoever installs
// decides when.

import { readlinkSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CommandError } from './command.ts'
import type { Disk } from './disk.ts'
import { writeWhole } from './replace.ts'

export const DEFAULT_UNIT_DIR = '/etc/systemd/system'
const FILE = 'podwire.service'
/** Said in the file: who takes it out has made the file his own. */
const MARK =
  '# Written by podwire install --systemd, and will be again: take this line out to keep your changes.\n'

export interface UnitPlace {
  readonly disk: Disk
  /** DEFAULT_UNIT_DIR, or another that systemd reads. */
  readonly unitDir: string
  /** Tells systemd to read its units anew; undefined where it does not run, or does not read that directory. */
  readonly reload: (() => void) | undefined
}

/** sd_booted(3), and process 1 is that of this machine: not in a container that has its /run. */
export function runsSystemd(disk: Disk): boolean {
  return (
    disk.stat('/run/systemd/system')?.isDirectory() === true &&
    disk.read('/proc/1/comm')?.trim() === 'systemd'
  )
}

/** @param directory  of the executable. @returns a line for each thing that was done */
export function installUnit(directory: string, place: UnitPlace): string[] {
  const executable = join(resolve(directory), 'podwire')
  // As it is in ExecStart=: no quotes, no specifiers.
  if (!/^[\w./-]+$/.test(executable))
    throw new CommandError(
      `systemd would not understand the path "${executable}"`,
      'install to a path of letters, digits, _, - and .',
    )
  const file = join(place.unitDir, FILE)
  const text = place.disk.read(file)
  if (text !== undefined && !text.startsWith(MARK)) return [`${file}: kept, it is not ours`]
  if (text === unitText(executable)) return [`${file}: is what is there`]
  writeWhole(file, unitText(executable))
  const next = text === undefined ? 'systemctl enable --now podwire' : 'systemctl restart podwire'
  return [`${file}: written; to use it: ${next}`, ...reloaded(place)]
}

/** @returns a line for each thing that is gone; none where the unit is not ours, or runs another executable */
export function uninstallUnit(directory: string, place: UnitPlace): string[] {
  const file = join(place.unitDir, FILE)
  const text = place.disk.read(file)
  const starts = `ExecStart=${join(resolve(directory), 'podwire')} daemon\n`
  if (text === undefined || !text.startsWith(MARK) || !text.includes(starts)) return []
  const wanted = join(place.unitDir, 'multi-user.target.wants', FILE)
  const files = [...(leadsTo(wanted, file) ? [wanted] : []), file]
  for (const one of files) rmSync(one)
  return [...files.map((one) => `${one}: removed`), ...reloaded(place)]
}

/** `systemctl enable` makes the link. */
function leadsTo(link: string, file: string): boolean {
  try {
    return resolve(join(link, '..'), readlinkSync(link)) === file
  } catch {
    return false // there is none, or what is there is no link
  }
}

function reloaded({ reload }: UnitPlace): string[] {
  reload?.()
  return reload === undefined ? [] : ['systemd: told to read its units anew']
}

/** deploy/podwire.service is this, for /opt/cni/bin. */
export function unitText(executable: string): string {
  return `${MARK}# The daemon as a service. While it is down, each call is served by a process of its own: no pod waits for it, and it may
# be started anew at any time.

[Unit]
Description=Podwire, the network of Kubernetes pods
ConditionFileIsExecutable=${executable}
# The first pods are served, too. Runtimes do not wait when it fails.
Before=containerd.service crio.service kubelet.service
# Whatever keeps it from starting may pass: an address of --metrics that is not there yet, a full disk. systemd would give it
# up for good after five starts in ten seconds.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${executable} daemon
# It finishes the calls that run, and ends. Plugins of others that it has started are left to finish with it.
KillMode=mixed
TimeoutStopSec=30
Restart=always
RestartSec=1

# What is recorded there outlives the daemon, and must: DEL goes by it.
RuntimeDirectory=podwire
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0077

# 2048 callers, and the namespaces of their pods.
LimitNOFILE=65536
OOMScoreAdjust=-900

# It changes links, addresses, routes and nftables (NET_ADMIN), enters namespaces of pods (SYS_ADMIN), which a runtime may
# name by a process (/proc/<pid>/ns/net, SYS_PTRACE), and keeps its files below directories that may belong to others
# (DAC_OVERRIDE). Its thread goes before others' (SYS_NICE). Plugins of others that it starts have no more than that:
# upstream's dhcp, for one, needs NET_RAW.
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_DAC_OVERRIDE CAP_NET_RAW CAP_SYS_NICE
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6 AF_PACKET
# setns(2) into network namespaces and unshare(2) of them (for the rehearsal), and no others.
RestrictNamespaces=net
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service setns unshare
SystemCallErrorNumber=EPERM
KeyringMode=private

# Not here, and why:
# - ProtectSystem, ProtectHome, ProtectProc, ProtectKernelModules, PrivateTmp, PrivateDevices, ReadWritePaths and whatever
#   else makes a mount namespace: where a path that a runtime names leads to something else in there, the daemon leaves the
#   call to its caller; and plugins of others, which it starts, write where they like.
# - ProtectKernelTunables: forwarding is a sysctl.
# - PrivateNetwork, PrivateUsers: it works in the node's own.
# - MemoryDenyWriteExecute: V8 compiles to machine code.

[Install]
WantedBy=multi-user.target
`
}
