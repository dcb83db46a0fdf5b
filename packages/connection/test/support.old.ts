/** What the tests of the connection pool share: a backend with a gate at every hook, and a pool whose every trace shows. */
import { type PoolEvent, PoolRegistry } from "@effect-pools/core"
import { expect } from "@effect/vitest"
import { ConnectionPool } from "@effect-pools/connection"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"

export class Broken extends Data.TaggedError("Broken")<{ readonly at: string }> {}

/**
 * How one step of the backend goes: `hang` reacts to its interruption, `stuck` does not; a number succeeds after that
 * many milliseconds, `late` does so whoever interrupts it.
 */
export type Gate =
  | "ok"
  | "fail"
  | "die"
  | "false"
  | "interrupt"
  | "hang"
  | "stuck"
  | number
  | { readonly late: number; readonly ending?: "ok" | "fail" | "die" }

export const badGates = ["fail", "die", "false", "interrupt", "hang", "stuck"] as const

const pass = (gate: Gate, at: string): Effect.Effect<unknown, Broken> => {
  if (typeof gate === "number") return Effect.sleep(gate)
  if (typeof gate === "object") {
    return Effect.uninterruptible(Effect.andThen(Effect.sleep(gate.late), pass(gate.ending ?? "ok", at)))
  }
  switch (gate) {
    case "ok":
      return Effect.void
    case "fail":
      return Effect.fail(new Broken({ at }))
    case "die":
      return Effect.die(new Error(`${at} died`))
    case "false":
      return Effect.succeed(false)
    case "interrupt":
      return Effect.interrupt
    case "hang":
      return Effect.never
    case "stuck":
      return Effect.uninterruptible(Effect.never)
  }
}

export class Wire {
  readonly id: number
  opened = 0
  /** How often closing it has begun, and ended. */
  closing = 0
  closed = 0
  /** How many bodies use it at this moment. */
  holders = 0
  isDirty = false
  constructor(id: number) {
    this.id = id
  }
}

export class Backend {
  /** What happens next, asked each time. Change them as the test goes on. */
  acquire: Gate = "ok"
  validate: Gate = "ok"
  reset: Gate = "ok"
  check: Gate = "ok"
  close: Gate = "ok"
  attempts = 0
  validations = 0
  resets = 0
  checks = 0
  /** When each attempt to connect began. */
  readonly attemptedAt: Array<number> = []
  readonly wires: Array<Wire> = []
  /** The most wires that were open, or being opened or closed, at one time. */
  most = 0
  #present = 0

  readonly connect: Effect.Effect<Wire, Broken, Scope.Scope> = Effect.suspend(() => {
    const gate = this.acquire
    this.attempts++
    const late = typeof gate === "object" ? Effect.uninterruptible : <A, E, R>(self: Effect.Effect<A, E, R>) => self
    return late(
      Effect.acquireRelease(
        Effect.andThen(
          Effect.andThen(
            Effect.map(Clock.currentTimeMillis, (now) => this.attemptedAt.push(now)),
            pass(gate, "acquire")
          ),
          Effect.sync(() => {
            const wire = new Wire(this.wires.length + 1)
            wire.opened++
            this.wires.push(wire)
            this.most = Math.max(this.most, ++this.#present)
            return wire
          })
        ),
        (wire) => {
          wire.closing++
          const end = Effect.sync(() => {
            wire.closed++
            this.#present--
          })
          return Effect.ensuring(Effect.orDie(pass(this.close, "close")), end)
        },
        { interruptible: true }
      )
    )
  })

  readonly onValidate = (_: Wire): Effect.Effect<unknown, Broken> =>
    Effect.suspend(() => {
      this.validations++
      return pass(this.validate, "validate")
    })

  readonly onReset = (wire: Wire): Effect.Effect<unknown, Broken> =>
    Effect.suspend(() => {
      this.resets++
      return Effect.tap(pass(this.reset, "reset"), () => Effect.sync(() => (wire.isDirty = false)))
    })

  readonly onCheck = (_: Wire): Effect.Effect<unknown, Broken> =>
    Effect.suspend(() => {
      this.checks++
      return pass(this.check, "check")
    })

  get open(): number {
    return this.wires.filter((wire) => wire.closing === 0).length
  }

  /** Every wire was closed once at most, and as many as the pool says are open. */
  expectExactlyOnce(openNow: number): void {
    for (const wire of this.wires) {
      expect(wire.opened, `wire ${wire.id} was opened`).toBe(1)
      expect(wire.closing, `wire ${wire.id} was closed`).toBeLessThanOrEqual(1)
    }
    expect(this.open, "open wires").toBe(openNow)
  }
}

export type Options = Partial<ConnectionPool.Options<Wire, Broken, Scope.Scope>>

export interface World {
  readonly backend: Backend
  readonly pool: ConnectionPool.ConnectionPool<Wire, Broken>
  readonly events: Array<PoolEvent.PoolEvent>
  /** Warnings and worse, as text. */
  readonly logs: Array<string>
  readonly registry: PoolRegistry.PoolRegistry
  readonly metrics: Map<string, Metric.Metric.Metadata<any, any>>
  /** How many sleeps and fibers of the pool there are now. */
  readonly left: { sleeps: number; fibers: number }
  readonly scope: Scope.Closeable
  readonly close: Effect.Effect<void>
}

/** Opens a pool whose sleeps, fibers, log lines, events, metrics and registry entries can all be looked at. */
export const open = Effect.fnUntraced(function* (options?: Options, backend = new Backend()) {
  const clock = yield* Clock.Clock
  const left = { sleeps: 0, fibers: 0 }
  const logs: Array<string> = []
  const events: Array<PoolEvent.PoolEvent> = []
  const registry = PoolRegistry.makeUnsafe()
  const metrics = new Map<string, Metric.Metric.Metadata<any, any>>()
  const scope = yield* Scope.make()
  const countingClock: Clock.Clock = {
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
    currentTimeMillis: clock.currentTimeMillis,
    currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
    currentTimeNanos: clock.currentTimeNanos,
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) =>
      Effect.suspend(() => {
        left.sleeps++
        return Effect.ensuring(
          clock.sleep(duration),
          Effect.sync(() => left.sleeps--)
        )
      })
  }
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    if (logLevel === "Warn" || logLevel === "Error" || logLevel === "Fatal") {
      logs.push((Array.isArray(message) ? message : [message]).map(String).join(" "))
    }
  })
  const made = yield* Effect.exit(
    ConnectionPool.make<Wire, Broken, Scope.Scope>({ acquire: backend.connect, ...options }).pipe(
      Effect.provideContext(
        Context.make(Scope.Scope, scope).pipe(
          Context.add(Clock.Clock, countingClock),
          Context.add(PoolRegistry.PoolRegistry, registry),
          Context.add(Metric.MetricRegistry, metrics),
          Context.add(Logger.CurrentLoggers, new Set([logger])),
          Context.add(Metric.FiberRuntimeMetrics, {
            recordFiberStart: () => void left.fibers++,
            recordFiberEnd: () => void left.fibers--
          })
        )
      )
    )
  )
  const pool = yield* made
  pool.admission.observer.listen((event) => events.push(event))
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => {
    backend.close = "ok"
    return Effect.asVoid(Effect.forkDetach(close))
  })
  return { backend, pool, events, logs, registry, metrics, left, scope, close } satisfies World
})

/** Lets every fiber that can go on do so, without time passing. */
export const settle: Effect.Effect<void> = Effect.gen(function* () {
  for (let turn = 0; turn < 10; turn++) yield* Effect.yieldNow
  yield* TestClock.adjust(0)
})

/** A body that counts itself, so that a wire in two hands shows. */
export const holding =
  <A, E, R>(world: World, body: (wire: Wire) => Effect.Effect<A, E, R>, limit = 1) =>
  (wire: Wire): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      // First the handler, then what it undoes: an interruption may come in between.
      let isIn = false
      return Effect.ensuring(
        Effect.suspend(() => {
          isIn = true
          if (++wire.holders > limit) throw new Error(`wire ${wire.id} is in ${wire.holders} hands`)
          if (wire.closing > 0) throw new Error(`wire ${wire.id} was handed out after it was closed`)
          if (world.backend.wires[wire.id - 1] !== wire) throw new Error("a wire of another backend")
          return body(wire)
        }),
        Effect.sync(() => isIn && wire.holders--)
      )
    })

/** Forks a lease that is held until the returned function is called. */
export const hold = Effect.fnUntraced(function* (
  world: World,
  options?: { readonly priority?: number; readonly acquireTimeout?: number }
) {
  const got: { wire: Wire | undefined } = { wire: undefined }
  const end = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkDetach(
    ConnectionPool.use(
      world.pool,
      holding(
        world,
        (wire) => {
          got.wire = wire
          return Deferred.await(end)
        },
        world.pool.store.options.concurrency
      ),
      options
    ),
    { startImmediately: true }
  )
  return {
    fiber,
    got,
    /** Ends the body, and so the lease. */
    release: Effect.andThen(Deferred.succeed(end, undefined), Fiber.await(fiber))
  }
})

export const counts = ({ pool: { admission } }: World) => ({
  idle: admission.idle,
  used: admission.used,
  creating: admission.creating,
  destroying: admission.destroying,
  pending: admission.pending
})

export const atRest = (idle: number) => ({ idle, used: 0, creating: 0, destroying: 0, pending: 0 })

/** What must be true of a pool at rest, whatever happened to it. */
export const expectAtRest = (world: World): void => {
  const { admission } = world.pool
  const { idle } = admission
  expect(counts(world)).toEqual(atRest(idle))
  expect(world.pool.store.all.size, "known connections").toBe(idle)
  expect(admission.observer.released, "released leases").toBe(admission.observer.acquired)
  world.backend.expectExactlyOnce(idle)
}

/** Every place of the pool can be taken at once, all together. */
export const expectEveryPlaceWorks = Effect.fnUntraced(function* (world: World) {
  const { backend, pool } = world
  backend.acquire = backend.validate = backend.reset = backend.close = "ok"
  const places = pool.admission.max * pool.store.options.concurrency
  const held = yield* Effect.forEach(Array.from({ length: places }), () => hold(world))
  yield* settle
  expect(held.filter(({ got }) => got.wire !== undefined).length, "places that work").toBe(places)
  for (const { release } of held) yield* release
  yield* settle
  expectAtRest(world)
})

export const tags = (world: World): Array<string> => world.events.map((event) => event._tag)

export const failures = (world: World) => world.events.filter((event) => event._tag === "BackgroundFailure")
