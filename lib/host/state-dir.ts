// Where it is recorded what was made: PODWIRE_STATE_DIR, else a directory that is gone after a reboot, as is all that it
// tells of.

const DEFAULT_STATE_DIR = '/run/podwire'

export function stateDirOf(environment: Readonly<Record<string, string | undefined>>): string {
  return environment['PODWIRE_STATE_DIR'] || DEFAULT_STATE_DIR
}
