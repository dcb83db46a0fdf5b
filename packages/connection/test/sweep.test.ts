import { ConnectionPool } from "@effect-pools/connection"
import { Lease } from "@effect-pools/core"
import { afterAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { type Scenario, type Stage, sweep } from "./support.sweep.ts"
import type { Wire } from "./support.old.ts"

const use = ({ body, pool }: Stage) => ConnectionPool.use(pool, body(Effect.andThen(Effect.yieldNow, Effect.void)))

/** The same through a scope, which holds the lease until it closes. */
const get = ({ body, pool }: Stage) =>
  Effect.scoped(
    Effect.flatMap(ConnectionPool.get(pool), (wire) => body(Effect.andThen(Effect.yieldNow, Effect.void))(wire))
  )

/** Leaves as many idle connections as there is room for. */
const warm = async ({ finish, pool }: Stage, count = 2): Promise<void> => {
  const all = Array.from({ length: count }, () => ConnectionPool.get(pool))
  await finish(Effect.scoped(Effect.all(all)))
}

/** Takes every place, for 20 ms. */
const occupy = async (stage: Stage): Promise<void> => {
  const { admission, store } = stage.pool
  const places = admission.max * store.options.concurrency
  for (let n = 0; n < places; n++) {
    stage.beside(ConnectionPool.use(stage.pool, stage.body(Effect.sleep(20))))
  }
  await stage.hand.run(
    () => admission.observer.acquired - admission.observer.released === places && admission.pending === 0
  )
}

const plain = () => ({})

/** A lease for a scope of its own, and that scope's end at the hands of somebody else. */
const scopes = new WeakMap<Stage, Scope.Closeable>()
const getForScope = (stage: Stage, withSpan = false): Effect.Effect<unknown, unknown> => {
  const scope = Scope.makeUnsafe()
  scopes.set(stage, scope)
  const get = Scope.provide(ConnectionPool.get(stage.pool), scope)
  return Effect.andThen(withSpan ? Effect.withSpan(get, "test") : get, Scope.close(scope, Exit.void))
}
const closeScope = (stage: Stage): void => {
  Effect.runForkWith(stage.hand.context)(Scope.close(scopes.get(stage)!, Exit.void))
}

const scenarios: Record<string, Scenario> = {
  "use, served at once": { options: plain, prepare: warm, target: use },
  "use, waiting": { options: plain, prepare: occupy, target: use },
  "use, waiting in front of others": {
    options: plain,
    prepare: occupy,
    target: (stage) => {
      stage.beside(Effect.andThen(Effect.sleep(5), use(stage)))
      stage.beside(Effect.andThen(Effect.sleep(5), get(stage)))
      return use(stage)
    }
  },
  "use, with a deadline that comes": {
    options: plain,
    prepare: occupy,
    target: ({ body, pool }) => Effect.ignore(ConnectionPool.use(pool, body(Effect.void), { acquireTimeout: 10 }))
  },
  "use, with a span": { options: plain, prepare: occupy, target: (stage) => Effect.withSpan(use(stage), "test") },
  "get, served at once": { options: plain, prepare: warm, target: get },
  "get, waiting": { options: plain, prepare: occupy, target: get },
  "get, with a span": { options: plain, prepare: occupy, target: (stage) => Effect.withSpan(get(stage), "test") },
  "get in a nested scope": {
    options: plain,
    prepare: warm,
    target: (stage) => Effect.scoped(Effect.andThen(ConnectionPool.get(stage.pool), get(stage)))
  },
  "use within get": {
    options: plain,
    target: (stage) => Effect.scoped(Effect.andThen(ConnectionPool.get(stage.pool), use(stage)))
  },
  "use, creating at once": { options: plain, target: use },
  "use, creating slowly": {
    options: plain,
    prepare: async ({ backend }) => void (backend.acquire = 10),
    target: use
  },
  "get, creating slowly": {
    options: plain,
    prepare: async ({ backend }) => void (backend.acquire = 10),
    target: get
  },
  "use, creating in vain": {
    options: () => ({ createTimeout: 5 }),
    prepare: async (stage) => {
      stage.backend.acquire = "fail"
      stage.beside(
        Effect.andThen(
          Effect.sleep(15),
          Effect.sync(() => (stage.backend.acquire = 2))
        )
      )
    },
    target: use
  },
  "use, validating": {
    options: (backend) => ({ validate: backend.onValidate, validateAfterIdle: 0 }),
    prepare: async (stage) => {
      await warm(stage)
      stage.backend.validate = 10
    },
    target: use
  },
  "get, validating": {
    options: (backend) => ({ validate: backend.onValidate, validateAfterIdle: 0, order: "fifo" }),
    prepare: async (stage) => {
      await warm(stage)
      stage.backend.validate = 10
    },
    target: get
  },
  "use, validation fails": {
    options: (backend) => ({ validate: backend.onValidate, validateAfterIdle: 0 }),
    prepare: async (stage) => {
      await warm(stage)
      stage.backend.validate = "fail"
      stage.backend.close = 5
    },
    target: use
  },
  "use, resetting": {
    options: (backend) => ({ reset: backend.onReset, max: 1 }),
    prepare: async (stage) => {
      await warm(stage, 1)
      stage.backend.reset = 10
      await occupy(stage)
    },
    target: (stage) => Effect.andThen(use(stage), use(stage))
  },
  "get, resetting and worn out": {
    options: (backend) => ({ reset: backend.onReset, max: 1, maxUses: 2 }),
    prepare: async (stage) => {
      stage.backend.reset = 10
      stage.backend.close = 5
      await occupy(stage)
    },
    target: (stage) => Effect.andThen(get(stage), get(stage))
  },
  "get, its scope closed by somebody else": {
    options: plain,
    prepare: warm,
    target: getForScope,
    disturb: closeScope
  },
  "get, its scope closed by somebody else, waiting": {
    options: plain,
    prepare: occupy,
    target: getForScope,
    disturb: closeScope
  },
  "get, its scope closed by somebody else, waiting with a span": {
    options: plain,
    prepare: occupy,
    target: (stage) => getForScope(stage, true),
    disturb: closeScope
  },
  getIfAvailable: {
    options: plain,
    prepare: warm,
    target: (stage) =>
      Effect.scoped(
        Effect.flatMap(ConnectionPool.getIfAvailable(stage.pool), (found) =>
          Option.isSome(found) ? stage.body(Effect.yieldNow)(found.value) : Effect.die("nothing idle")
        )
      )
  },
  "getIfAvailable, validating": {
    options: (backend) => ({ validate: backend.onValidate, validateAfterIdle: 0 }),
    prepare: async (stage) => {
      await warm(stage)
      stage.backend.validate = 10
    },
    target: (stage) => Effect.scoped(ConnectionPool.getIfAvailable(stage.pool))
  },
  useIfAvailable: {
    options: plain,
    prepare: warm,
    target: ({ body, pool }) => ConnectionPool.useIfAvailable(pool, body(Effect.yieldNow))
  },
  "useIfAvailable, validating": {
    options: (backend) => ({ validate: backend.onValidate, validateAfterIdle: 0 }),
    prepare: async (stage) => {
      await warm(stage)
      stage.backend.validate = 10
    },
    target: ({ body, pool }) => ConnectionPool.useIfAvailable(pool, body(Effect.yieldNow))
  },
  "useIfAvailable, nothing idle": {
    options: plain,
    prepare: occupy,
    target: ({ body, pool }) => ConnectionPool.useIfAvailable(pool, body(Effect.yieldNow))
  },
  "concurrency 2, served at once": {
    options: () => ({ concurrency: 2, max: 1 }),
    prepare: (stage) => warm(stage, 1),
    target: (stage) => Effect.all([use(stage), get(stage)], { concurrency: 2 })
  },
  "concurrency 2, waiting": {
    options: (backend) => ({ concurrency: 2, max: 1, reset: backend.onReset }),
    prepare: occupy,
    target: (stage) => Effect.all([use(stage), get(stage), use(stage)], { concurrency: 3 })
  }
}

const total = { scenarios: 0, interruptions: 0, leaks: 0 }
afterAll(() => {
  console.log(
    `interrupt sweep: ${total.scenarios} scenarios, ${total.interruptions} interruptions, ${total.leaks} leaks`
  )
})

describe("the lease rule", () => {
  for (const [name, scenario] of Object.entries(scenarios)) {
    it(`an interruption at any step leaks nothing: ${name}`, { timeout: 60_000 }, async () => {
      const { interruptions, leaks, primitives, steps } = await sweep(scenario)
      total.scenarios++
      total.interruptions += interruptions
      total.leaks += leaks.length
      expect(leaks.slice(0, 5)).toEqual([])
      // With fewer the sweep would not have reached the path at all.
      expect(steps).toBeGreaterThan(62)
      expect(primitives).toBeGreaterThan(3)
      expect(interruptions).toBe(steps + primitives)
    })
  }
})

describe("the sweep itself", () => {
  /** Takes in one step and installs the release in the next. */
  const leakyUse = <A>({ pool }: Stage, body: (wire: Wire) => Effect.Effect<A>) =>
    Effect.flatMap(
      Effect.suspend(() => {
        const lease = new Lease.Lease(new Lease.Request(pool.admission, undefined, undefined, false))
        return pool.admission.take(lease) ? Effect.succeed(lease) : Effect.die("nothing idle")
      }),
      (lease) => Effect.onExit(body(lease.entry!.value), (exit) => Effect.sync(() => lease.end(exit)))
    )

  it(
    "finds the leak of a pool that takes in one step and installs the release in the next",
    { timeout: 60_000 },
    async () => {
      const { interruptions, leaks } = await sweep({
        options: plain,
        prepare: warm,
        target: (stage) => leakyUse(stage, stage.body(Effect.yieldNow))
      })
      expect(interruptions).toBeGreaterThan(62)
      expect(leaks.filter((leak) => leak.includes("used is 1")).length).toBeGreaterThan(0)
      expect(leaks.filter((leak) => leak.startsWith("primitive")).length).toBeGreaterThan(0)
      expect(leaks.filter((leak) => leak.startsWith("budget")).length).toBeGreaterThan(0)
    }
  )

  it("finds the leak of a release that the run loop skips", { timeout: 60_000 }, async () => {
    const { leaks } = await sweep({
      options: plain,
      prepare: warm,
      target: (stage) => {
        const lease = new Lease.Lease(
          new Lease.Request(stage.pool.admission, stage.body(Effect.yieldNow), undefined, false)
        )
        return Effect.onExitPrimitive(
          lease as unknown as Effect.Effect<void>,
          (exit) => {
            lease.end(exit)
            return undefined
          },
          true
        )
      }
    })
    expect(leaks.length).toBeGreaterThan(0)
  })
})
