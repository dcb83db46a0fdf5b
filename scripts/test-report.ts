/** What is of interest in a JSON report of Vitest's. */
export interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly success: boolean
  /** By file. */
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    /** What kept the file from being loaded; empty otherwise. */
    readonly message: string
    readonly assertionResults: ReadonlyArray<{
      readonly status: string
      readonly fullName: string
      readonly failureMessages: ReadonlyArray<string>
    }>
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

/** What failed, and why: by test, and by file where no test is to blame. */
export const failures = ({ testResults }: Report): ReadonlyArray<{ readonly what: string; readonly why: string }> =>
  testResults.flatMap(({ assertionResults, message, name, status }) => {
    const failed = assertionResults.filter((test) => test.status === "failed")
    return status === "failed" && failed.length === 0
      ? [{ what: name, why: message }]
      : failed.map(({ failureMessages, fullName }) => ({
          what: `${name}: ${fullName}`,
          why: failureMessages.join("\n")
        }))
  })
