/** What is of interest in a JSON report of Vitest's. */
export interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly success: boolean
  /** By file. */
  readonly testResults: ReadonlyArray<{
    readonly status: string
    readonly assertionResults: ReadonlyArray<{ readonly status: string }>
  }>
  /** Added by `test.ts`, if the type tests ran. */
  readonly typesPassed?: boolean
}

export const parseReport = (text: string): Report => JSON.parse(text) as Report

export interface Totals {
  readonly passed: number
  readonly failed: number
}

/** A file that failed without a failed test, as one that cannot be loaded, counts as one; so do the type tests. */
export const totals = ({ numFailedTests, numPassedTests, success, testResults, typesPassed }: Report): Totals => {
  const files = testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some(({ status }) => status === "failed")
  )
  const failed = numFailedTests + files.length + (typesPassed === false ? 1 : 0)
  // Whatever it was.
  return { passed: numPassedTests, failed: success ? failed : Math.max(1, failed) }
}
