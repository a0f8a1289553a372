// /proc/PID/stat (proc_pid_stat(5)).

/**
 * @param stat  the file's text
 * @param number  of the field as in the manual: 3 is the state
 */
export function statField(stat: string, number: number): string | undefined {
  // The name, field 2, may have spaces and parentheses in it, so counting begins after the last one.
  return stat
    .slice(stat.lastIndexOf(')') + 2)
    .trimEnd()
    .split(' ')[number - 3]
}
