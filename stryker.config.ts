/**
 * Mutation testing: every small change to the code of `core` and `connection` that none of their tests notices.
 *
 * `pnpm test:mutation` takes an hour or more on two cores. It keeps its results, also when it is interrupted, and then
 * looks only at what has changed. `pnpm test:mutation --mutate packages/core/src/Lease.ts` looks at one file.
 * The report is `reports/mutation/index.html`; `docs/reliability.md` explains the mutants that are known to survive.
 */
export default {
  mutate: ["packages/{core,connection}/src/**/*.ts", "!packages/*/src/index.ts"],
  // Types hold the tags of unions; what is left is the wording of messages.
  mutator: { excludedMutations: ["StringLiteral"] },
  // What is only done while a module is loaded has no test of its own to be run alone: it would take half of the time.
  ignoreStatic: true,
  plugins: ["@stryker-mutator/vitest-runner"],
  testRunner: "vitest",
  vitest: { configFile: "vitest.mutation.config.ts", related: false },
  coverageAnalysis: "perTest",
  concurrency: 2,
  timeoutMS: 10_000,
  dryRunTimeoutMinutes: 15,
  incremental: true,
  incrementalFile: "reports/mutation/incremental.json",
  htmlReporter: { fileName: "reports/mutation/index.html" },
  clearTextReporter: { logTests: false, reportTests: false, allowEmojis: false },
  reporters: ["progress-append-only", "clear-text", "html"],
  // The copy is for these two packages. Its modules need no compiler options, and Stryker cannot read them with
  // TypeScript 7, which has no JavaScript API.
  ignorePatterns: ["dist", "docs", "reports", "packages/{bench,demo,postgres}", "tsconfig*.json"]
}
