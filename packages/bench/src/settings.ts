import { parseArgs } from "node:util"

/** How much time to spend. */
export interface Effort {
  /** A minute in all, at the price of a wider spread. */
  readonly isQuick: boolean
}

export interface Settings extends Effort {
  /** Where to write the results; `undefined` means into the documentation. */
  readonly json: string | undefined
  /** Only the cases whose names contain this. */
  readonly only: string | undefined
}

export const USAGE = `pnpm bench [--quick] [--json FILE] [--only NAME]

  --quick      about a minute, with a wider spread; leaves docs/benchmarks as it is
  --json FILE  write the results to FILE instead of docs/benchmarks
  --only NAME  only the cases whose names contain NAME; leaves docs/benchmarks as it is
`

/** `undefined` if the program was asked for its usage. */
export const parseSettings = (args: ReadonlyArray<string>): Settings | undefined => {
  const { values } = parseArgs({
    // pnpm passes on the -- that ends its own options.
    args: args.filter((arg) => arg !== "--"),
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      only: { type: "string" },
      help: { type: "boolean", short: "h", default: false }
    }
  })
  return values.help ? undefined : { isQuick: values.quick, json: values.json, only: values.only }
}
