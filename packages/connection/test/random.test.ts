import { ConnectionPool } from "@effect-pools/connection"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { Hand } from "./support.sweep.ts"
import { Backend, type Broken, type Gate, type Wire } from "./support.old.ts"

/** Uniform numbers in [0, 1), the same for the same seed (mulberry32). */
const randomOf = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const gates: ReadonlyArray<Gate> = [
  "ok",
  "ok",
  "ok",
  "fail",
  "die",
  "false",
  "interrupt",
  "hang",
  "stuck",
  1,
  20,
  300,
  { late: 50 },
  { late: 1500 },
  { late: 1500, ending: "die" }
]

/** Random commands against one pool, which is looked at after every step of every fiber. */
const play = async (seed: number, commands: number): Promise<{ readonly steps: number }> => {
  const random = randomOf(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const pick = <A>(from: ReadonlyArray<A>): A => from[below(from.length)]!
  const chance = (probability: number) => random() < probability

  const hand = new Hand(pick([3, 5, 17, 2048]))
  const backend = new Backend()
  const log: Array<string> = []
  const fail = (what: string): never => {
    throw new Error(`seed ${seed}: ${what}\n  ${log.join("\n  ")}`)
  }

  const concurrency = pick([1, 1, 1, 2, 3])
  const scope = Scope.makeUnsafe()
  const opening = hand.fork(
    ConnectionPool.make<Wire, Broken, Scope.Scope>({
      acquire: backend.connect,
      min: below(3),
      max: 2 + below(4),
      maxCreating: 1 + below(3),
      concurrency,
      order: pick(["lifo", "fifo"] as const),
      createTimeout: 400,
      createRetry: pick([Schedule.spaced(30), Schedule.recurs(1)]),
      breaker: chance(0.5) ? false : { failures: 3, probeInterval: 200 },
      idleTimeout: pick([1000, 300_000]),
      maxLifetime: pick([2000, 1_800_000]),
      maxUses: pick([3, Infinity]),
      ...(chance(0.6) ? { validate: backend.onValidate } : {}),
      validateAfterIdle: pick([0, 100]),
      validationTimeout: 200,
      ...(chance(0.5) ? { reset: backend.onReset } : {}),
      resetTimeout: 200,
      destroyTimeout: 300,
      closeGrace: 500,
      acquireTimeout: 2000,
      health: chance(0.5) ? false : { interval: 150, check: backend.onCheck, timeout: 100 }
    }).pipe(Effect.provideService(Scope.Scope, scope))
  )
  await hand.run(() => opening.pollUnsafe() !== undefined)
  const pool = Effect.runSync(opening.pollUnsafe() as Exit.Exit<ConnectionPool.ConnectionPool<Wire, Broken>, never>)
  const { admission, store } = pool
  const { options } = store

  // What must hold after every step.
  let allowed = admission.max
  let steps = 0
  const look = (): void => {
    steps++
    const { creating, destroying, idle, lifecycle, live, max, pending, used } = admission
    // After a shrink the pool may be above its maximum, but only on the way down.
    allowed = Math.max(max, Math.min(allowed, live))
    if (live > allowed) fail(`${live} live, ${allowed} allowed`)
    if (Math.min(creating, destroying, idle, pending, used) < 0)
      fail(`a count is negative: ${JSON.stringify({ creating, destroying, idle, pending, used })}`)
    const states = { idle: 0, used: 0, validating: 0, resetting: 0, checking: 0, destroyed: 0 }
    let room = 0
    let leases = 0
    for (const connection of store.all) {
      states[connection.state]++
      leases += connection.holders
      let links = 0
      for (let lease = connection.holder; lease !== undefined; lease = lease.next) links++
      if (links !== connection.holders)
        fail(`connection ${connection.id}: ${connection.holders} holders, ${links} links`)
      if ((connection.state === "used") !== connection.holders > 0) {
        fail(`connection ${connection.id} is ${connection.state} with ${connection.holders} holders`)
      }
      if (
        connection.state === "used" &&
        connection.holders < concurrency &&
        connection.uses < options.maxUses &&
        connection.doom === undefined
      ) {
        room++
      }
    }
    if (states.destroyed > 0) fail("a destroyed connection is known")
    if (states.idle + states.checking !== idle) fail(`${idle} idle, but ${JSON.stringify(states)}`)
    if (states.used + states.validating + states.resetting !== used) fail(`${used} used, but ${JSON.stringify(states)}`)
    const { acquired, created, destroyed, released } = admission.observer
    // When the grace of a close is over, connections go under their holders.
    if (acquired - released !== leases && lifecycle !== "closed")
      fail(`${acquired} begun, ${released} ended, ${leases} held`)
    const gone = Object.values(destroyed).reduce((sum, count) => sum + count, 0)
    if (created - gone !== idle + used) fail(`${created} created, ${gone} gone, ${idle + used} here`)
    for (const wire of backend.wires) if (wire.closing > 1) fail(`wire ${wire.id} was closed twice`)
    if (pending > 0 && lifecycle === "open") {
      if (states.idle > 0 && pending > states.validating * concurrency)
        fail(`somebody waits while a connection is idle: ${JSON.stringify(states)}`)
      if (room > 0) fail("somebody waits while a shared connection has room")
      const coming = (states.validating + states.resetting + creating) * concurrency
      if (pending > coming && live < max && creating < options.maxCreating && store.creation.failures === 0) {
        fail(`${pending} wait, ${coming} are served soon, and there is room for more`)
      }
    }
    if (pending > 0 && (lifecycle === "draining" || lifecycle === "closed")) fail("somebody waits for a closed pool")
  }
  const run = (until: () => boolean, horizon: number) => hand.run(() => (look(), until()), horizon)

  const calls: Array<Fiber.Fiber<unknown, unknown>> = []
  const scopes: Array<Scope.Closeable> = []
  const held = (wire: Wire) => {
    if (++wire.holders > concurrency) fail(`wire ${wire.id} is in ${wire.holders} hands`)
    if (wire.closing > 0) fail(`wire ${wire.id} was handed out after it was closed`)
  }
  const bodies: ReadonlyArray<Effect.Effect<unknown, string>> = [
    Effect.void,
    Effect.yieldNow,
    Effect.sleep(5),
    Effect.sleep(150),
    Effect.fail("body"),
    Effect.die("body"),
    Effect.interrupt,
    Effect.andThen(Effect.sleep(10), Effect.die("body"))
  ]
  const body = (wire: Wire) => {
    let isIn = false
    const effect = pick(bodies)
    return Effect.onExit(
      Effect.suspend(() => {
        isIn = true
        held(wire)
        return effect
      }),
      () => Effect.sync(() => isIn && wire.holders--)
    )
  }
  const asked = () => (chance(0.5) ? undefined : { priority: below(3), acquireTimeout: pick([0, 1, 50, 500, 2000]) })
  const inScope = <E>(get: Effect.Effect<unknown, E, Scope.Scope>) => {
    const scope = Scope.makeUnsafe()
    scopes.push(scope)
    calls.push(hand.fork(Scope.provide(get, scope)))
  }

  const all: Record<string, () => void> = {
    use: () => void calls.push(hand.fork(ConnectionPool.use(pool, body, asked()))),
    use2: () => void calls.push(hand.fork(ConnectionPool.use(pool, body))),
    use3: () => void calls.push(hand.fork(Effect.withSpan(ConnectionPool.use(pool, body), "span"))),
    useIfAvailable: () => void calls.push(hand.fork(ConnectionPool.useIfAvailable(pool, body))),
    get: () => inScope(ConnectionPool.get(pool, asked())),
    getIfAvailable: () => inScope(ConnectionPool.getIfAvailable(pool)),
    release: () => {
      const [scope] = scopes.splice(below(scopes.length), 1)
      if (scope !== undefined) hand.fork(Scope.close(scope, Exit.void))
    },
    interrupt: () => void (calls.length > 0 && pick(calls).interruptUnsafe()),
    interruptMany: () => {
      for (const call of calls) if (chance(0.5)) call.interruptUnsafe()
    },
    invalidate: () =>
      void (backend.wires.length > 0 && hand.fork(ConnectionPool.invalidate(pool, pick(backend.wires)))),
    report: () => {
      if (backend.wires.length === 0) return
      hand.fork(ConnectionPool.report(pool, pick(backend.wires), pick(["fatal", "suspect", "fine"] as const)))
    },
    cleanUp: () => void hand.fork(ConnectionPool.cleanUp(pool)),
    resize: () => {
      const max = 1 + below(6)
      hand.fork(ConnectionPool.resize(pool, { min: below(max + 1), max }))
    },
    suspend: () => void hand.fork(ConnectionPool.suspend(pool)),
    resume: () => void hand.fork(ConnectionPool.resume(pool)),
    resume2: () => void hand.fork(ConnectionPool.resume(pool)),
    acquire: () => void (backend.acquire = pick(gates)),
    acquireOk: () => void (backend.acquire = pick(["ok", 3])),
    validate: () => void (backend.validate = pick(gates)),
    reset: () => void (backend.reset = pick(gates)),
    check: () => void (backend.check = pick(gates)),
    close: () => void (backend.close = pick(gates))
  }
  const names = Object.keys(all)

  for (let n = 0; n < commands; n++) {
    const name = pick(names)
    log.push(`${hand.now}: ${name}`)
    all[name]!()
    // On with a few steps, with all that is due now, or with time.
    let few = chance(0.4) ? below(8) : Infinity
    await run(() => few-- <= 0, hand.now)
    if (chance(0.4)) {
      const millis = pick([1, 5, 20, 100, 700])
      log.push(`${hand.now}: + ${millis} ms`)
      const horizon = hand.now + millis
      await run(() => false, horizon)
      hand.now = horizon
    }
    // A scope's lease has nobody in hand; what was interrupted or failed left nothing in it.
    for (let index = calls.length - 1; index >= 0; index--)
      if (calls[index]!.pollUnsafe() !== undefined) calls.splice(index, 1)
  }

  // All well again: everybody is answered, everything comes to rest, every place works.
  log.push(`${hand.now}: all well`)
  backend.acquire = backend.validate = backend.reset = backend.check = backend.close = "ok"
  all["resume"]!()
  for (const scope of scopes) hand.fork(Scope.close(scope, Exit.void))
  await run(() => false, hand.now + 6000)
  hand.now += 6000
  if (calls.some((call) => call.pollUnsafe() === undefined)) fail("somebody has had no answer")
  if (admission.used + admission.pending + admission.creating + admission.destroying > 0) {
    fail(
      `not at rest: ${JSON.stringify(store.details())}, ${admission.creating} creating, ${admission.destroying} going`
    )
  }
  let served = 0
  // A connection near its last use has fewer places than its concurrency.
  const places = admission.max * (options.maxUses === Infinity ? concurrency : 1)
  const last = Array.from({ length: places }, () =>
    hand.fork(
      ConnectionPool.use(
        pool,
        () =>
          Effect.andThen(
            Effect.sync(() => served++),
            Effect.sleep(50)
          ),
        { acquireTimeout: 40 }
      )
    )
  )
  await run(() => false, hand.now + 100)
  if (served !== places || last.some((call) => !Exit.isSuccess(call.pollUnsafe() ?? Exit.die("runs")))) {
    fail(`${served} of ${places} places work: ${JSON.stringify(last.map((call) => call.pollUnsafe()))}`)
  }

  // And closes, perhaps in the middle of things.
  const inTheMiddle = chance(0.7)
  if (inTheMiddle) {
    for (let n = 0; n < 10; n++) {
      const name = pick(names)
      log.push(`${hand.now}: ${name}`)
      all[name]!()
      await run(() => false, hand.now + below(30))
    }
  }
  log.push(`${hand.now}: close`)
  const closers = [hand.fork(Scope.close(scope, Exit.void))]
  if (chance(0.3)) closers.push(hand.fork(Effect.orDie(ConnectionPool.drain(pool, pick([0, 10, 10_000])))))
  await run(() => false, hand.now + 5000)
  if (closers.some((closer) => closer.pollUnsafe() === undefined)) fail("closing does not end")
  const late = yield_(hand.fork(Effect.flip(ConnectionPool.use(pool, body))))
  await run(() => false, hand.now + 1)
  if ((late() as { readonly reason?: { readonly _tag: string } }).reason?._tag !== "Closed")
    fail("a closed pool answers otherwise")
  for (const scope of scopes) hand.fork(Scope.close(scope, Exit.void))
  await run(() => false, hand.now + 3000)
  if (admission.live + admission.pending > 0) fail("something is left")
  if (admission.observer.acquired !== admission.observer.released) fail("a lease has not ended")
  if (calls.some((call) => call.pollUnsafe() === undefined)) fail("somebody has had no answer from a closed pool")
  for (const wire of backend.wires) if (wire.closing !== 1) fail(`wire ${wire.id} was closed ${wire.closing} times`)
  if (hand.sleeps > 0) fail(`${hand.sleeps} timers are left`)
  return { steps }
}

const yield_ = (fiber: Fiber.Fiber<unknown, unknown>) => () => {
  const exit = fiber.pollUnsafe()
  return exit !== undefined && Exit.isSuccess(exit) ? exit.value : undefined
}

/** `POOL_SEEDS` plays more of them, `POOL_SEED` one. */
const SEEDS = Number(process.env["POOL_SEEDS"] ?? 400)
const COMMANDS = 60

describe("random commands", () => {
  const only = process.env["POOL_SEED"]
  const chunks = only === undefined ? [0, 1, 2, 3] : [0]
  for (const chunk of chunks) {
    const size = SEEDS / chunks.length
    const seeds = only === undefined ? Array.from({ length: size }, (_, n) => chunk * size + n + 1) : [Number(only)]
    it(
      `every invariant holds after every step, seeds ${seeds[0]} to ${seeds.at(-1)}`,
      { timeout: 60_000 },
      async () => {
        let steps = 0
        for (const seed of seeds) steps += (await play(seed, COMMANDS)).steps
        expect(steps).toBeGreaterThan(seeds.length * COMMANDS)
      }
    )
  }
})
