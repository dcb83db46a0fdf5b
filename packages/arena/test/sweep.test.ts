import { type ArenaPool, BumpArena } from "@effect-pools/arena"
import { InterruptSweep } from "@effect-pools/testing"
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chaining, type GatedArena, type GatedMemory, subject } from "./subject.ts"

/** A pool at rest knows the idle arenas and no others, and none of them is lent. */
const audit: InterruptSweep.PoolAudit<GatedArena> = (pool) => {
  const { admission, store } = pool as unknown as ArenaPool.ArenaPool<GatedMemory>
  const wrong: Array<string> = []
  if (store.all.size !== admission.idle) wrong.push(`${store.all.size} arenas are known, ${admission.idle} are idle`)
  for (const { value } of store.all) {
    if (value.state !== "idle") wrong.push(`an arena that lies idle is ${value.state}`)
    if (value.capacity !== value.memory.view.length) wrong.push("an idle arena has what it chained")
  }
  return wrong
}

/** Budgets beyond these were swept on the connection pool: what follows a lease is no other here. */
const budgets = [3, 4, 5, 7, 11, 64]

/** More than one arena holds. */
const fill = (arena: GatedArena) =>
  Effect.andThen(
    Effect.forEach([40, 40, 40], (size) => Effect.ignore(BumpArena.allocBytes(arena, size)), { discard: true }),
    Effect.yieldNow
  )

const scenarios: Record<string, InterruptSweep.PoolScenario<GatedArena>> = {
  "use and get, of arenas that chain others": {
    settings: { max: 4 },
    program: ({ body, pool, subject }) =>
      Effect.andThen(
        subject.use(pool, (arena) => body(fill(arena))(arena)),
        Effect.scoped(Effect.flatMap(subject.get(pool), (arena) => body(fill(arena))(arena)))
      )
  },
  "arenas that wait for what others have chained": {
    settings: { max: 3 },
    program: ({ body, pool, stage, subject }) =>
      Effect.gen(function* () {
        stage.beside(subject.use(pool, (arena) => body(Effect.andThen(fill(arena), Effect.sleep(5)))(arena)))
        yield* Effect.sleep(1)
        yield* subject.use(pool, (arena) => body(fill(arena))(arena))
      })
  }
}

const own = Object.fromEntries(
  Object.entries(scenarios).map(([name, scenario]) => [name, [chaining, scenario] as const])
)

describe("the lease rule", () => {
  InterruptSweep.suite(subject, it, { audit, budgets, own })
})
