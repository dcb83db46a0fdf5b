/** Runs the tests as `test.ts` does, those that have one with a larger budget and fresh random seeds. */
process.env["POOL_LONG"] = "1"
await import("./test.ts")
