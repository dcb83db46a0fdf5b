/**
 * The resource pool at work: parcels are priced by carriers, which are processes that are asked over Unix sockets, and there
 * are fewer lines than carriers. Now and then one of them is killed.
 */
import type { Budget, PoolStats } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import * as Effect from "effect/Effect"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Line from "../carriers/line.ts"
import * as Carrier from "../carriers/process.ts"
import { eventually } from "../eventually.ts"
import { invariant, nothingLeaked } from "../invariants.ts"
import type { Part } from "../part.ts"

const names = ["stork", "pigeon", "swift", "albatross"]

const max = 3

export const open = (budget: Budget.Budget): Effect.Effect<Part, never, Scope.Scope | ChildProcessSpawner> =>
  Effect.gen(function* () {
    const carriers = yield* Effect.forEach(names, Carrier.open)
    yield* eventually(
      Effect.forEach(carriers, ({ path }) => Effect.isSuccess(path)),
      (ready) => ready.every(Boolean)
    )
    const pool = yield* ResourcePool.make({
      name: "partners",
      max,
      acquireTimeout: "2 seconds",
      allocateTimeout: "1 second",
      budget: { budget, minimum: 1 }
    })
    const lines: Line.Lines = { open: 0, most: 0 }
    const partners = yield* Effect.forEach(carriers, (carrier) =>
      ResourcePool.create(pool, {
        name: carrier.name,
        allocate: Effect.flatMap(carrier.path, (path) => Line.connect(carrier.name, path, lines))
      })
    )
    const books = { asked: 0, answered: 0, wrong: 0, killed: 0 }

    const quote = Effect.gen(function* () {
      const parcel = ++books.asked
      const grams = yield* Random.nextIntBetween(100, 20_000)
      const partner = partners[yield* Random.nextIntBetween(0, partners.length - 1)]!
      const answer = yield* Resource.use(partner, (line) =>
        // A line on which an answer is still to come is of no use to the next.
        Effect.onError(line.ask({ parcel, grams }), () => Resource.scheduleRelease(partner))
      )
      books.answered++
      if (answer.carrier !== partner.name || answer.parcel !== parcel) books.wrong++
      return answer.cents
    })

    const killOne = Effect.gen(function* () {
      yield* Effect.sleep(yield* Random.nextBetween(200, 400))
      yield* carriers[yield* Random.nextIntBetween(0, carriers.length - 1)]!.kill
      books.killed++
    })

    return {
      name: "partners",
      requests: [{ name: "ask a carrier", weight: 20, run: quote }],
      faults: Effect.forever(killOne),
      settled: Effect.gen(function* () {
        const stats = yield* eventually(ResourcePool.stats(pool), isAtRest)
        const allocated = (yield* Effect.forEach(partners, Resource.isAllocated)).filter(Boolean).length
        return {
          pools: [stats],
          facts: {
            "parcels priced": books.answered,
            "lines opened": stats.created,
            "lines closed for others": stats.destroyed.reclaimed,
            "carriers killed": books.killed
          },
          invariants: [
            invariant(
              "every answer was to the question that was asked",
              books.answered > 0 && books.wrong === 0,
              `${books.wrong} of ${books.answered} were not`
            ),
            invariant(
              "never more lines open than there are places",
              lines.most > 0 && lines.most <= max,
              `at most ${lines.most} of ${max}, for ${names.length} carriers`
            ),
            invariant(
              "lines were used again",
              stats.acquired > stats.created,
              `${stats.created} lines for ${stats.acquired} leases`
            ),
            ...nothingLeaked(stats, allocated)
          ]
        }
      }),
      closed: Effect.sync(() => ({
        invariants: [invariant("no line is left when the pool has closed", lines.open === 0, `${lines.open} lines`)]
      }))
    } satisfies Part
  }).pipe(Effect.orDie)

const isAtRest = ({ creating, destroying, pending, used }: PoolStats.PoolStats): boolean =>
  creating + destroying + pending + used === 0
