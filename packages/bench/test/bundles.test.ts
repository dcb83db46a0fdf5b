import { describe, expect, it } from "@effect/vitest"
import { bundlers, examples } from "../src/bundles.ts"

const imports = (code: string): Array<string> =>
  Array.from(code.matchAll(/from ?["']([^"']+)["']/g), ([, from]) => from!)

describe("bundles", () => {
  it.each(Object.keys(bundlers))("hold all that an example needs but effect: %s", async (bundler) => {
    expect(examples.size).toBe(6)
    for (const example of examples.values()) {
      const from = imports(await bundlers[bundler]!(example))
      expect(from.some((name) => name.startsWith("effect"))).toBe(true)
      expect(from.filter((name) => !/^(effect|node:)/.test(name))).toEqual([])
    }
  })
})
