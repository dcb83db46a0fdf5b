import type { Leak } from "../AuditReport.ts"

/**
 * Makes the places where leases were taken the stack of the error that reports them: test runners show the code there,
 * instead of the lines that looked for leaks.
 */
export const pointAt = <A extends Error>(error: A, leaks: ReadonlyArray<Leak>): A => {
  const places = new Set(leaks.flatMap(({ takenAt }) => (takenAt === undefined ? [] : [`    ${takenAt}`])))
  if (places.size > 0) error.stack = [`${error.name}: ${error.message}`, ...places].join("\n")
  return error
}
