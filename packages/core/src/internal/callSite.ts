/**
 * The first line of the stack that lies outside of this library and of what runs it: where an application asked for a
 * lease. Capturing a stack costs more than ten leases, so it happens only while leak detection is on.
 */
export const captureCallSite = (): string | undefined => {
  if (known !== undefined) return known
  const lines = new Error().stack?.split("\n").slice(1) ?? []
  return lines.find((line) => !OWN.test(line))?.trim()
}

/**
 * Runs `f`, in which leases are taken at `site` if that is given: for calls that are made in one place and carried out
 * in another.
 */
export const atCallSite = <A>(site: string | undefined, f: () => A): A => {
  known = site
  try {
    return f()
  } finally {
    known = undefined
  }
}

let known: string | undefined

/** Frames of this library, of Effect and of the runtime. */
const OWN = new RegExp(
  [
    String.raw`@effect-pools[/\\]`,
    String.raw`[/\\]packages[/\\](?:core|connection|postgres)[/\\](?:src|dist)[/\\]`,
    String.raw`[/\\]effect[/\\](?:src|dist)[/\\]`,
    String.raw`\bnode:`,
    "<anonymous>"
  ].join("|")
)
