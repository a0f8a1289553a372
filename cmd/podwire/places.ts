// Where runtimes look, unless they are configured otherwise.

export const DEFAULT_CONF_DIR = '/etc/cni/net.d'
export const DEFAULT_BIN_DIR = '/opt/cni/bin'
/** Debian's place for plugins. */
const DISTRIBUTION_BIN_DIR = '/usr/lib/cni'

/** Where plugins of others are found when no runtime says so: as CNI_PATH. @param own  directory of the executable */
export function pluginPath(own: string): string[] {
  return [own, DEFAULT_BIN_DIR, DISTRIBUTION_BIN_DIR]
}
