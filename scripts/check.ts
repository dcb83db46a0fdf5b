/** Runs every check but the tests, or those named by the arguments. All of them run, even when one has failed. */
import { run } from "./workspace.ts"

const checks: Record<string, () => boolean> = {
  types: () => run("tsc", ["-b"]),
  lint: () => run("oxlint", []),
  format: () => run("oxfmt", ["--check"]),
  unused: () => run("knip", ["--no-config-hints"]),
  packages: () => run("node", ["scripts/check-packages.ts"])
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(checks)
const results = names.map((name) => {
  const check = checks[name]
  if (check === undefined) throw new Error(`No check is called ${name}; there are ${Object.keys(checks).join(", ")}`)
  console.log(`\n── ${name}`)
  const start = performance.now()
  const passed = check()
  return { name, passed, seconds: (performance.now() - start) / 1000 }
})

console.log()
for (const { name, passed, seconds } of results) {
  console.log(`${passed ? "✓" : "✗"} ${name.padEnd(9)} ${seconds.toFixed(1)} s`)
}
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1
