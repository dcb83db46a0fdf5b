/** A place in the code, as the stack that was captured there. Put into words only when somebody asks. */
export type CallSite = Error

/**
 * Notes where an application asks for a lease. Capturing a stack costs several leases, so it happens only while leak
 * detection is on; putting it into words costs ten times as much again, and happens only for a lease that is reported.
 */
export const captureCallSite = (): CallSite => known ?? new Error()

/** The first line of the stack that lies outside of this library and of what runs it. */
export const describeCallSite = (site: CallSite | undefined): string | undefined => {
  const lines = site?.stack?.split("\n").slice(1) ?? []
  return lines.find((line) => !isOwn(line))?.trim()
}

/**
 * Runs `f`, in which leases are taken at `site` if that is given: for calls that are made in one place and carried out
 * in another.
 */
export const atCallSite = <A>(site: CallSite | undefined, f: () => A): A => {
  known = site
  try {
    return f()
  } finally {
    known = undefined
  }
}

let known: CallSite | undefined

/** The folder of this library's packages when they are not installed but developed: as this file's own frame has it. */
const home = /([^\s(]*\/)core\/(?:src|dist)\/internal\/callSite\.[jt]s/.exec(
  (new Error().stack ?? "").replaceAll("\\", "/")
)?.[1]

/** Frames of this library, of Effect and of the runtime: what counts is where they lie, not what they are called. */
const isOwn = (line: string): boolean => {
  const place = line.replaceAll("\\", "/")
  return (
    OWN.test(place) ||
    NOWHERE.test(place) ||
    (home !== undefined && PACKAGES.some((name) => place.includes(home + name)))
  )
}

const PACKAGES = [
  "core/src/",
  "core/dist/",
  "connection/src/",
  "connection/dist/",
  "instance/src/",
  "instance/dist/",
  "arena/src/",
  "arena/dist/",
  "lock-free/src/",
  "lock-free/dist/",
  "resource/src/",
  "resource/dist/",
  "postgres/src/",
  "postgres/dist/",
  "wasm/src/",
  "wasm/dist/",
  "worker/src/",
  "worker/dist/",
  // Of `testing` only what stands between a suite and the pool: the suites are who takes the leases.
  "testing/src/Subject.",
  "testing/dist/Subject."
]

const OWN =
  /\/@effect-pools\/(?!testing\/(?:src|dist)\/(?!Subject\.))[\w-]+\/(?:src|dist)\/|\/node_modules\/(?:effect|@effect)\/|\/packages\/effect\/(?:src|dist)\//

/** Of the runtime itself, or without a place. */
const NOWHERE = / \((?:node:[^()]*|<anonymous>|native|index \d+)\)$|^\s*at (?:async )?node:/
