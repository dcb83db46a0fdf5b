/**
 * Runs cases in a process of its own and prints what each has left behind, as lines of JSON. The process ends by itself,
 * which it would not if a timer were left.
 *
 *     node child.ts <leases | pools> [a part of the name of a case]
 */
import { Admission, Lease, Waiter } from "@effect-pools/core"
import { Footprint } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { type Case, Connection } from "./case.ts"
import { groups } from "./cases.ts"
import { keeping } from "./keeping.ts"
import type { Objects, Report } from "./report.ts"
import { isLong } from "./settings.ts"

const growth = ({ prepare }: Case, units: number, rounds: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const round = yield* prepare
      const perRound = Math.ceil(units / rounds)
      return yield* Footprint.growth({ round: round(perRound), units: perRound, warmUp: 1, rounds })
    })
  )

const run = Effect.fnUntraced(function* (given: Case) {
  const handles = yield* Footprint.handles
  const { perUnit, units } = yield* growth(given, isLong ? 10 * given.units : given.units, 4)
  const active = Footprint.more(yield* Footprint.handles, handles)
  const planted = yield* keeping(given.keeps, 4 * given.bound, growth(given, given.units / 4, 2))
  const report: Report = { name: given.name, units, perUnit, active, planted: planted.perUnit }
  console.log(JSON.stringify(report))
})

const program = Effect.gen(function* () {
  const [group, name = ""] = process.argv.slice(2)
  for (const given of groups[group as keyof typeof groups]) if (given.name.includes(name)) yield* run(given)
  const fiber = yield* Effect.withFiber((fiber) => Effect.succeed(fiber.constructor as new () => unknown))
  const objects: Objects = {
    pools: yield* Footprint.instances(Admission.Admission),
    leases: yield* Footprint.instances(Lease.Lease),
    waiters: yield* Footprint.instances(Waiter.Waiter),
    connections: yield* Footprint.instances(Connection),
    fibers: yield* Footprint.instances(fiber)
  }
  console.log(JSON.stringify(objects))
})

await Effect.runPromise(Effect.provideService(program, References.MinimumLogLevel, "None"))
