import { parseArgs } from "node:util"

/** How much time to spend. */
export interface Effort {
  /** A minute in all, at the price of a wider spread. */
  readonly isQuick: boolean
}

export interface Settings extends Effort {
  /** Where to write the results, instead of into the documentation. */
  readonly json: string | undefined
  /** Only the groups whose names contain this or, if there are none, the cases whose names do. */
  readonly only: string | undefined
  /** Compares the leases of connections with what is recorded. */
  readonly isCheck: boolean
  /** Whether the results become the documentation: those of all cases, measured with full effort. */
  readonly isWritten: boolean
}

export const USAGE = `pnpm bench [--quick] [--check] [--json FILE] [--only NAME]

               without options: some ten minutes; writes docs/benchmarks
  --quick      about a minute: few rounds, so a wider spread; imports and memory once; no 10,000 fibers at a
               semaphore; leaves docs/benchmarks as it is
  --check      half a minute: fails if leases of connections take much more time or memory, against others' and as their
               number grows, than what docs/benchmarks says; leaves it as it is
  --json FILE  write the results to FILE instead of docs/benchmarks
  --only NAME  only the groups whose names contain NAME or, if there are none, the cases whose names do; leaves
               docs/benchmarks as it is
`

/** `undefined` if the program was asked for its usage. Throws if it was asked for what there is not. */
export const parseSettings = (args: ReadonlyArray<string>): Settings | undefined => {
  const { values } = parseArgs({
    // pnpm passes on the -- that ends its own options.
    args: args.filter((arg) => arg !== "--"),
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      only: { type: "string" },
      check: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false }
    }
  })
  const { check, help, json, only, quick } = values
  if (help) return undefined
  if (check && only !== undefined) throw new Error("--check always measures the same: it takes no --only")
  if (only === "" || json === "") throw new Error("--only and --json need a name")
  const isQuick = quick || check
  return { isQuick, json, only, isCheck: check, isWritten: !isQuick && json === undefined && only === undefined }
}
