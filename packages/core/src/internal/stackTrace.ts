/** Runs `f` with `Error.stackTraceLimit` at 0, where the platform lets it be set. */
export const withoutStackTrace = <A>(f: () => A): A => {
  const holder = Error as { stackTraceLimit?: number | undefined }
  const limit = holder.stackTraceLimit
  try {
    holder.stackTraceLimit = 0
  } catch {
    // Frozen intrinsics: the errors then carry a stack, which is only slower.
    return f()
  }
  try {
    return f()
  } finally {
    holder.stackTraceLimit = limit
  }
}
