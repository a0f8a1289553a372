// A pod as it is named in errors, tables and lines of the log.

/** `default/web-0`; without a namespace, as podman's containers are, its name alone. */
export function fullPodName(namespace: string | undefined, name: string): string {
  return namespace ? `${namespace}/${name}` : name
}
