import { describe, expect, it } from "@effect/vitest"
import { parseSettings } from "../src/settings.ts"

describe("settings", () => {
  it("write the documentation only when everything is measured with full effort", () => {
    expect(parseSettings([])?.isWritten).toBe(true)
    for (const args of [["--quick"], ["--check"], ["--only", "memory"], ["--json", "file"]]) {
      expect(parseSettings(args)?.isWritten).toBe(false)
    }
  })

  it("refuse what there is not, and what has no meaning together", () => {
    for (const args of [["--fast"], ["memory"], ["--only"]])
      expect(() => parseSettings(args)).toThrow(/option|argument/i)
    for (const name of ["--only", "--json"]) expect(() => parseSettings([name, ""])).toThrow("need a name")
    expect(() => parseSettings(["--check", "--only", "memory"])).toThrow("it takes no --only")
  })
})
