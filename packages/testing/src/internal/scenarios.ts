import { Pool } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Gate, Step } from "../Gates.ts"
import type { Settings, Trait } from "../Subject.ts"
import type { PoolScenario, PoolStage } from "./poolStage.ts"

/** A scenario that any kind of pool can play which has the traits that it needs. */
export interface StandardScenario<A> extends PoolScenario<A> {
  readonly name: string
  readonly needs: ReadonlyArray<Trait>
}

export const standardScenarios = <A>(): ReadonlyArray<StandardScenario<A>> => [
  ...atOnce<A>(),
  ...waiting<A>(),
  ...creating<A>(),
  ...validating<A>(),
  ...resetting<A>(),
  ...closing<A>(),
  ...sharing<A>()
]

const warm = <A>(stage: PoolStage<A>) => stage.warm()
const occupy = <A>(stage: PoolStage<A>) => stage.occupy
const use = <A>(stage: PoolStage<A>) => stage.use
const get = <A>(stage: PoolStage<A>) => stage.get

/** Sets gates, after what is to go well before. */
const gated =
  (gates: { readonly [S in Step]?: Gate }, before: <A>(stage: PoolStage<A>) => Effect.Effect<unknown, unknown>) =>
  <A>(stage: PoolStage<A>) =>
    Effect.andThen(
      before(stage),
      Effect.sync(() => Object.assign(stage.gates, gates))
    )
const nothing = (): Effect.Effect<void> => Effect.void

/** Something that happens beside the program, 5 ms later. */
const soon = <A>({ stage }: PoolStage<A>, effect: Effect.Effect<unknown, unknown>): void =>
  void stage.beside(Effect.andThen(Effect.sleep(5), effect))

const getIfAvailable = <A>({ body, pool }: PoolStage<A>) =>
  Effect.scoped(
    Effect.flatMap(Pool.getIfAvailable(pool), (found) =>
      Option.isSome(found) ? body(Effect.yieldNow)(found.value) : Effect.void
    )
  )
const useIfAvailable = <A>({ body, pool }: PoolStage<A>) => Pool.useIfAvailable(pool, body(Effect.yieldNow))

const useInvalidating = <A>({ body, pool, subject }: PoolStage<A>) =>
  subject.use(pool, (value) => body(Effect.andThen(Pool.invalidate(pool, value), Effect.yieldNow))(value))

const atOnce = <A>(): Array<StandardScenario<A>> => [
  { name: "use, served at once", needs: ["reuse"], prepare: warm, program: use },
  { name: "get, served at once", needs: ["reuse"], prepare: warm, program: get },
  {
    name: "get in a nested scope",
    needs: ["reuse"],
    prepare: warm,
    program: (stage) => Effect.scoped(Effect.andThen(stage.subject.get(stage.pool), stage.get))
  },
  {
    name: "use within get",
    needs: [],
    program: (stage) => Effect.scoped(Effect.andThen(stage.subject.get(stage.pool), stage.use))
  },
  {
    name: "use, its item invalidated",
    needs: [],
    program: useInvalidating
  },
  {
    name: "use, its item invalidated, whose end fails",
    needs: [],
    prepare: gated({ destroy: "fail" }, nothing),
    program: useInvalidating
  },
  {
    name: "use, its body dies",
    needs: [],
    program: ({ body, pool, subject }) =>
      Effect.exit(subject.use(pool, body(Effect.andThen(Effect.yieldNow, Effect.die("body")))))
  },
  { name: "getIfAvailable", needs: ["reuse"], prepare: warm, program: getIfAvailable },
  { name: "useIfAvailable", needs: ["reuse"], prepare: warm, program: useIfAvailable },
  { name: "useIfAvailable, nothing idle", needs: [], prepare: occupy, program: useIfAvailable },
  {
    name: "use, told not to wait",
    needs: [],
    prepare: occupy,
    program: ({ body, pool, subject }) => Effect.exit(subject.use(pool, body(Effect.yieldNow), { acquireTimeout: 0 }))
  }
]

const waiting = <A>(): Array<StandardScenario<A>> => {
  const needs: Array<Trait> = ["waiting"]
  return [
    { name: "use, waiting", needs, prepare: occupy, program: use },
    { name: "get, waiting", needs, prepare: occupy, program: get },
    {
      name: "use, waiting in front of others",
      needs,
      prepare: occupy,
      program: (stage) => {
        soon(stage, stage.use)
        soon(stage, stage.get)
        return stage.use
      }
    },
    {
      name: "use, with a deadline that comes",
      needs,
      prepare: occupy,
      program: ({ body, pool, subject }) => Effect.exit(subject.use(pool, body(Effect.void), { acquireTimeout: 10 }))
    },
    {
      name: "get, with a deadline that comes",
      needs,
      prepare: occupy,
      program: ({ pool, subject }) => Effect.exit(Effect.scoped(subject.get(pool, { acquireTimeout: 10 })))
    },
    { name: "use, with a span", needs, prepare: occupy, program: (stage) => Effect.withSpan(stage.use, "test") },
    { name: "get, with a span", needs, prepare: occupy, program: (stage) => Effect.withSpan(stage.get, "test") },
    {
      name: "use, its item invalidated, whose end is slow, in front of others",
      needs: ["waiting", "time"],
      settings: { max: 1 },
      prepare: gated({ destroy: 10 }, nothing),
      program: (stage) => {
        soon(stage, stage.use)
        return useInvalidating(stage)
      }
    },
    {
      name: "use, waiting while the pool shrinks",
      needs,
      prepare: (stage) => {
        soon(stage, Pool.resize(stage.pool, { max: 1 }))
        return stage.occupy
      },
      program: use
    },
    {
      name: "use, waiting for a suspended pool",
      needs,
      prepare: (stage) => {
        soon(stage, Pool.resume(stage.pool))
        return Pool.suspend(stage.pool)
      },
      program: use
    }
  ]
}

const creating = <A>(): Array<StandardScenario<A>> => {
  const slow = { needs: ["waiting", "time"] as Array<Trait>, prepare: gated({ create: 10 }, nothing) }
  const late = ({ body, pool, subject }: PoolStage<A>) =>
    Effect.exit(subject.use(pool, body(Effect.void), { acquireTimeout: 20 }))
  const settings = { createTimeout: 5 }
  return [
    { name: "use, creating at once", needs: [], program: use },
    { name: "get, creating at once", needs: [], program: get },
    { name: "use, creating slowly", ...slow, program: use },
    { name: "get, creating slowly", ...slow, program: get },
    {
      name: "use, creating in vain at first",
      needs: ["waiting", "time", "retries"],
      settings,
      prepare: (stage) => {
        stage.gates.create = "fail"
        const restore = Effect.sync(() => (stage.gates.create = 2))
        stage.stage.beside(Effect.andThen(Effect.sleep(15), restore))
        return Effect.void
      },
      program: use
    },
    {
      name: "use, creating in vain until the deadline",
      needs: ["waiting"],
      settings,
      prepare: gated({ create: "fail" }, nothing),
      program: late
    },
    {
      name: "use, creating without end",
      needs: ["waiting", "time"],
      settings,
      prepare: gated({ create: "hang" }, nothing),
      program: late
    },
    {
      name: "get, prepared in the background",
      needs: ["minimum"],
      settings: { min: 2 },
      prepare: () => Effect.sleep(1),
      program: get
    }
  ]
}

const validating = <A>(): Array<StandardScenario<A>> => {
  const settings: Partial<Settings> = { steps: ["validate"] }
  const slowly = { settings, prepare: gated({ validate: 10 }, warm) }
  const needs: Array<Trait> = ["validation", "reuse"]
  const needsTime: Array<Trait> = [...needs, "time"]
  return [
    { name: "use, validated at once", needs, settings, prepare: warm, program: use },
    { name: "use, validating", needs: [...needsTime, "waiting"], ...slowly, program: use },
    { name: "get, validating", needs: [...needsTime, "waiting"], ...slowly, program: get },
    { name: "getIfAvailable, validating", needs: needsTime, ...slowly, program: getIfAvailable },
    { name: "useIfAvailable, validating", needs: needsTime, ...slowly, program: useIfAvailable },
    {
      name: "use, validation fails",
      needs: [...needsTime, "waiting"],
      settings,
      prepare: gated({ validate: "fail", destroy: 5 }, warm),
      program: use
    },
    {
      name: "use, validation dies",
      needs: [...needs, "waiting"],
      settings,
      prepare: gated({ validate: "die" }, warm),
      program: use
    }
  ]
}

const resetting = <A>(): Array<StandardScenario<A>> => {
  const settings: Partial<Settings> = { steps: ["reset"], max: 1 }
  const needs: Array<Trait> = ["reset", "reuse", "waiting", "time"]
  const one = <A>(stage: PoolStage<A>) => stage.warm(1)
  return [
    {
      name: "use, resetting",
      needs,
      settings,
      prepare: (stage) => Effect.andThen(gated({ reset: 10 }, one)(stage), stage.occupy),
      program: (stage) => Effect.andThen(stage.use, stage.use)
    },
    {
      name: "get, resetting",
      needs,
      settings,
      prepare: (stage) => Effect.andThen(gated({ reset: 10, destroy: 5 }, one)(stage), stage.occupy),
      program: (stage) => Effect.andThen(stage.get, stage.get)
    },
    {
      name: "use, reset fails",
      needs,
      settings,
      prepare: gated({ reset: "fail", destroy: 5 }, one),
      program: (stage) => Effect.andThen(stage.use, stage.get)
    }
  ]
}

const closing = <A>(): Array<StandardScenario<A>> => {
  const getForScope = ({ pool, scope, subject }: PoolStage<A>) => Scope.provide(subject.get(pool), scope)
  const thenClose = (stage: PoolStage<A>, get: Effect.Effect<A, unknown>) =>
    Effect.andThen(get, Scope.close(stage.scope, Exit.void))
  const scopeClosed = {
    disturb: ({ scope, stage }: PoolStage<A>) => void stage.start(Scope.close(scope, Exit.void))
  }
  const poolClosed = { disturb: ({ stage }: PoolStage<A>) => stage.close() }
  return [
    {
      name: "get, its scope closed by somebody else",
      needs: ["reuse"],
      prepare: warm,
      program: (stage) => thenClose(stage, getForScope(stage)),
      ...scopeClosed
    },
    {
      name: "get, its scope closed by somebody else, waiting",
      needs: ["waiting"],
      prepare: occupy,
      program: (stage) => thenClose(stage, getForScope(stage)),
      ...scopeClosed
    },
    {
      name: "get, its scope closed by somebody else, waiting with a span",
      needs: ["waiting"],
      prepare: occupy,
      program: (stage) => thenClose(stage, Effect.withSpan(getForScope(stage), "test")),
      ...scopeClosed
    },
    { name: "use, the pool closed by somebody else", needs: ["grace"], program: use, ...poolClosed },
    {
      name: "use, the pool closed by somebody else, waiting",
      needs: ["grace", "waiting"],
      prepare: occupy,
      program: use,
      ...poolClosed
    },
    {
      name: "get, the pool closed by somebody else, creating slowly",
      needs: ["grace", "waiting", "time"],
      prepare: gated({ create: 10, destroy: 5 }, nothing),
      program: get,
      ...poolClosed
    },
    {
      name: "a pool is opened, used and closed",
      needs: [],
      program: ({ gates, settings, subject }) =>
        Effect.scoped(Effect.flatMap(subject.make(gates, settings), (pool) => subject.use(pool, () => Effect.yieldNow)))
    }
  ]
}

const sharing = <A>(): Array<StandardScenario<A>> => {
  const settings: Partial<Settings> = { concurrency: 2, max: 1 }
  return [
    {
      name: "shared, served at once",
      needs: ["sharing", "reuse"],
      settings,
      prepare: warm,
      program: (stage) => Effect.all([stage.use, stage.get], { concurrency: 2 })
    },
    {
      name: "shared, waiting",
      needs: ["sharing", "waiting", "reset"],
      settings: { ...settings, steps: ["reset"] },
      prepare: occupy,
      program: (stage) => Effect.all([stage.use, stage.get, stage.use], { concurrency: 3 })
    }
  ]
}
