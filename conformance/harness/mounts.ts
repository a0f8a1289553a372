// A plugin in a mount namespace of its own, in which something of the file system is not as it should be.

/** @param script  shell commands that change the mounts; they are gone when the plugin ends */
export function withMounts(script: string): string[] {
  return ['unshare', '-m', 'sh', '-ec', `${script}; exec "$0" "$@"`]
}
