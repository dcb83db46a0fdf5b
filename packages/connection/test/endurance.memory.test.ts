import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { groups } from "./endurance/cases.ts"
import { start } from "./endurance/report.ts"
import { isLong } from "./endurance/settings.ts"

/**
 * Each case runs in a plain process of Node, which measures its heap after forced collections over rounds of the same
 * work; then once more with a pool that is made to keep something small, which is to be found.
 */
const timeout = isLong ? 3_600_000 : 300_000

for (const group of ["leases", "pools"] as const) {
  describe(`memory over many ${group}`, { timeout }, () => {
    let running: ReturnType<typeof start>
    beforeAll(() => {
      running = start(group)
    })
    afterAll(() => running.stop())

    for (const { bound, name, unit, units } of groups[group]) {
      const count = (isLong ? 10 * units : units).toLocaleString("en")
      it(`is flat, and no handle is left: ${name} (${count} × a ${unit})`, async () => {
        const { active, perUnit, planted, units: measured } = await running.report(name)
        assert.isAtLeast(measured, units)
        assert.isBelow(perUnit, bound, `bytes stay with each ${unit}`)
        assert.deepStrictEqual(active, [])
        assert.isAbove(planted, bound, `a pool that keeps something of each ${unit} is not found`)
      })
    }

    it("is free of pools, leases, waiters, connections and fibers in the end, and the process ends by itself", async () => {
      assert.deepStrictEqual(await running.objects, { pools: 0, leases: 0, waiters: 0, connections: 0, fibers: 1 })
      assert.strictEqual(await running.exitCode, 0)
    })
  })
}
