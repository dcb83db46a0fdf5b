/**
 * The first line of the stack that lies outside of this library: where an application asked for a lease.
 * Capturing a stack costs more than ten leases, so it happens only while leak detection is on.
 */
export const captureCallSite = (): string | undefined => {
  const lines = new Error().stack?.split("\n").slice(1) ?? []
  return lines.find((line) => !OWN.test(line))?.trim()
}

const OWN = /@effect-pools[/\\]|[/\\]packages[/\\](?:core|connection)[/\\](?:src|dist)[/\\]|[/\\]effect[/\\](?:src|dist)[/\\]/
