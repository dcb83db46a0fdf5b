/**
 * Instance pools at work: prices come from plugins that the shop does not trust. One traps now and then; another runs
 * away, and so has threads of its own.
 */
import type { Budget, PoolStats } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { WasmExport, WasmInstancePool } from "@effect-pools/wasm"
import { WorkerInstancePool } from "@effect-pools/worker"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { Worker, type WorkerOptions } from "node:worker_threads"
import { eventually } from "../eventually.ts"
import { invariant, nothingLeaked } from "../invariants.ts"
import * as Lateness from "../lateness.ts"
import type { Part } from "../part.ts"
import { pricingPlugin, promotionsPlugin } from "../plugins/pricing.ts"
import { Promotions } from "../plugins/promotions.ts"

/** How long the promotions plugin may take, in milliseconds. */
const callTimeout = 100

const openPricing = WasmInstancePool.make({
  name: "pricing",
  module: pricingPlugin,
  exports: {
    price: WasmExport.func<(cents: number, quantity: number, delivery: number) => number>(),
    asked: WasmExport.func<() => number>()
  },
  maxMemoryPages: 16,
  max: 8,
  prepare: 4,
  onExhausted: "wait",
  acquireTimeout: "2 seconds"
})

const openPromotions = (spawn: (options: WorkerOptions) => Worker, budget: Budget.Budget) =>
  Effect.flatMap(promotionsPlugin, (workerData) =>
    WorkerInstancePool.make({
      name: "promotions",
      group: Promotions,
      spawn,
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: 64 },
      callTimeout,
      max: 2,
      prepare: 1,
      budget
    })
  )

/** Starts threads and counts them: one that has nothing to do is not among the resources that Node tells of. */
const countThreads = () => {
  const threads = { started: 0, living: 0 }
  const spawn = (options: WorkerOptions): Worker => {
    const worker = new Worker(new URL("../plugins/promotions.worker.ts", import.meta.url), options)
    threads.started++
    threads.living++
    worker.once("exit", () => threads.living--)
    return worker
  }
  return { spawn, threads }
}

export const open = (budget: Budget.Budget): Effect.Effect<Part, never, Scope.Scope> =>
  Effect.gen(function* () {
    const pricing = yield* openPricing
    const { spawn, threads } = countThreads()
    const promotions = yield* openPromotions(spawn, budget)
    const books = { asked: 0, traps: 0, usedBefore: 0, discounts: 0, runaways: 0, ended: 0 }
    const lateness = yield* Lateness.watch

    const price = Effect.gen(function* () {
      const cents = yield* Random.nextIntBetween(100, 10_000)
      const quantity = books.asked++ % 20 === 0 ? 0 : yield* Random.nextIntBetween(1, 40)
      return yield* InstancePool.use(pricing, (plugin) =>
        Effect.gen(function* () {
          const price = yield* plugin.call("price", cents, quantity, 500)
          if ((yield* plugin.call("asked")) !== 1) books.usedBefore++
          return price
        })
      )
    }).pipe(Effect.tapErrorTag("WasmTrap", () => Effect.sync(() => books.traps++)))

    const discount = Effect.gen(function* () {
      const customer = books.discounts++ % 3
      return yield* InstancePool.use(promotions, (worker) => {
        const discount = worker.Discount({ customer })
        return customer === 0 ? Effect.suspend(() => runaway(discount)) : discount
      })
    })

    /** It ends, and not with an answer. */
    const runaway = <A, E, R>(discount: Effect.Effect<A, E, R>) => {
      books.runaways++
      return Effect.onExit(discount, (exit) => Effect.sync(() => Exit.isFailure(exit) && books.ended++))
    }

    return {
      name: "plugins",
      requests: [
        { name: "ask for a price", weight: 20, run: price },
        // Each takes a thread, and every third of those its full time.
        { name: "ask for a discount", weight: 0.1, run: discount }
      ],
      faults: Effect.void,
      settled: Effect.gen(function* () {
        const pools = [
          yield* eventually(InstancePool.stats(pricing), isAtRest),
          yield* eventually(InstancePool.stats(promotions), isAtRest)
        ]
        return {
          pools,
          facts: {
            "prices asked for": books.asked,
            "plugins that trapped": books.traps,
            "plugins that ran away": books.runaways,
            "event loop late at most, ms": Math.round(lateness.most)
          },
          invariants: [
            invariant(
              "plugins trapped, and ran away",
              books.traps > 0 && books.runaways > 0,
              `${books.traps} of ${books.asked} trapped, ${books.runaways} of ${books.discounts} ran away`
            ),
            invariant(
              "nobody got a plugin that had been used",
              books.asked > 0 && books.usedBefore === 0,
              `${books.usedBefore} of ${books.asked} had been asked before`
            ),
            invariant(
              "every plugin that ran away was stopped",
              books.ended === books.runaways,
              `${books.ended} of ${books.runaways}, after ${callTimeout} ms each`
            ),
            ...nothingLeaked(pools[0]!, pricing.store.all.size),
            ...nothingLeaked(pools[1]!, promotions.store.all.size)
          ]
        }
      }),
      closed: Effect.sync(() => {
        const { living, started } = threads
        const name = "no thread is left when the pools have closed"
        return { invariants: [invariant(name, started > 0 && living === 0, `${living} of ${started} threads`)] }
      })
    } satisfies Part
  }).pipe(Effect.orDie)

const isAtRest = ({ creating, destroying, idle, min, pending, used }: PoolStats.PoolStats): boolean =>
  creating + destroying + pending + used === 0 && idle === min
