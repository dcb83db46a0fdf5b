import { type Admission, type Pool, PoolRegistry } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { GateFailure, Gates, Item } from "../src/Gates.ts"
import * as ModelRun from "../src/ModelRun.ts"
import * as Subject from "../src/Subject.ts"
import * as TestPool from "../src/TestPool.ts"
import { fresh, nonBlocking } from "./kinds.ts"
import { subject } from "./subject.ts"

/** `POOL_LONG` plays many more cases, new ones each time. */
const isLong = process.env["POOL_LONG"] === "1"
const budget = isLong ? { runs: 30_000, seed: Date.now() } : { runs: 300, seed: 1 }

for (const kind of [subject, fresh, nonBlocking]) {
  describe(`a ${kind.kind} pool`, () => {
    it.live(
      `does what the model says, seed ${budget.seed}`,
      () =>
        Effect.gen(function* () {
          const { commands, runs } = yield* ModelRun.check(kind, { ...budget, length: 120 })
          assert.strictEqual(runs, budget.runs)
          assert.isAbove(commands, runs * 20)
        }),
      isLong ? 3_600_000 : 60_000
    )
  })
}

type AnyPool = Pool.Pool<Item, GateFailure>

interface Fault {
  readonly name: string
  readonly subject: Subject.Subject<Item>
  readonly invariant: ModelRun.ModelFailure["invariant"]
}

/** The test pool with something in it changed. */
const changed = (change: (admission: Admission.Admission<Item, GateFailure>, pool: AnyPool) => void) =>
  Subject.make({
    ...subject,
    make: (gates, settings) =>
      Effect.tap(subject.make(gates, settings), (pool) => Effect.sync(() => change(pool.admission, pool)))
  })

/** The test pool with something around it changed. */
const opened = (make: Subject.Definition<Item>["make"]) => Subject.make({ ...subject, make })

/** The test pool with another way to make items. */
const making = (make: (gates: Gates) => Gates["make"]) =>
  opened((gates, { concurrency: _sharers, maxCreating: _limit, steps: _steps, ...settings }) =>
    TestPool.make({ ...settings, acquire: make(gates) })
  )

const faults: ReadonlyArray<Fault> = [
  {
    name: "more items than max",
    subject: changed((admission) => {
      // It forgets those that are on their way out.
      Object.defineProperty(admission, "live", { get: () => admission.idle + admission.used + admission.creating })
    }),
    invariant: 1
  },
  {
    name: "an item that is destroyed twice",
    subject: making((gates) =>
      Effect.tap(gates.make, (item) => Effect.addFinalizer(() => Effect.sync(() => item.destroying++)))
    ),
    invariant: 2
  },
  {
    name: "an item in two hands",
    subject: changed(({ store }) => {
      const take = store.take.bind(store)
      let last: ReturnType<typeof take>
      store.take = (now, lease) => (last?.holder === undefined ? (last = take(now, lease)) : last)
    }),
    invariant: 2
  },
  {
    name: "a lease that its caller's interruption does not end",
    subject: changed(({ store }) => {
      const giveBack = store.giveBack.bind(store)
      store.giveBack = (entry, lease, exit, now) => {
        if (Exit.isSuccess(exit) || !Cause.hasInterrupts(exit.cause)) giveBack(entry, lease, exit, now)
      }
    }),
    invariant: 5
  },
  {
    name: "a waiter that leaves and stays in the queue",
    subject: changed((admission) => {
      admission.leave = () => {}
    }),
    invariant: 2
  },
  {
    name: "a caller that is left waiting after another has failed",
    subject: changed((admission) => {
      const giveBack = admission.giveBack.bind(admission)
      const offer = admission.offer.bind(admission)
      const idled = admission.idled.bind(admission)
      let isFailing = false
      admission.offer = (entry, now) => !isFailing && offer(entry, now)
      admission.idled = () => (isFailing ? undefined : idled())
      admission.giveBack = (lease, exit) => {
        isFailing = Exit.isFailure(exit)
        giveBack(lease, exit)
        isFailing = false
      }
    }),
    invariant: 3
  },
  {
    name: "the last waiter served first",
    subject: changed(({ waiters }) => {
      waiters.first = () => Array.from(waiters).at(-1)
    }),
    invariant: 4
  },
  {
    name: "priorities that count for nothing",
    subject: Subject.make({
      ...subject,
      use: (pool, body, options) => subject.use(pool, body, { ...options, priority: 0 })
    }),
    invariant: 4
  },
  {
    name: "an item handed out after it was invalidated",
    subject: changed(({ store }) => {
      store.invalidate = () => {}
    }),
    invariant: 7
  },
  {
    name: "a deadline that is forgotten",
    subject: Subject.make({
      ...subject,
      use: (pool, body, options) =>
        subject.use(pool, body, options?.acquireTimeout === 0 ? options : { ...options, acquireTimeout: Infinity })
    }),
    invariant: 8
  },
  {
    name: "a deadline that comes too early",
    subject: Subject.make({
      ...subject,
      get: (pool, options) =>
        subject.get(pool, options?.acquireTimeout === 500 ? { ...options, acquireTimeout: 499 } : options)
    }),
    invariant: 8
  },
  {
    name: "a close that does not end",
    subject: opened((gates, settings) =>
      Effect.andThen(
        Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizer(scope, Effect.never)),
        subject.make(gates, settings)
      )
    ),
    invariant: 9
  },
  {
    name: "a drain that goes on when the last lease is back",
    subject: changed((admission) => {
      const drain = admission.drain.bind(admission)
      admission.drain = (grace) => {
        // A lease that nobody has.
        admission.used++
        return drain(grace)
      }
    }),
    invariant: 5
  },
  {
    name: "a closed pool that stays in the registry",
    subject: opened((gates, settings) =>
      Effect.flatMap(PoolRegistry.PoolRegistry, (registry) => {
        Object.assign(registry, { releaseUnsafe: () => {} })
        return subject.make(gates, settings)
      })
    ),
    invariant: 9
  },
  {
    name: "a timer that is left",
    subject: making((gates) => Effect.tap(gates.make, () => Effect.forkDetach(Effect.sleep(1e9)))),
    invariant: 9
  },
  {
    name: "a suspended pool that serves",
    subject: changed((admission) => {
      admission.suspend = () => {}
    }),
    invariant: "contract"
  },
  {
    name: "a caller that is told another's reason",
    subject: Subject.make({
      ...subject,
      use: (pool, body, options) =>
        subject.use(pool, body, options?.acquireTimeout === 0 ? { ...options, acquireTimeout: 1 } : options)
    }),
    invariant: "contract"
  }
]

describe("a model run", () => {
  for (const { invariant, name, subject } of faults) {
    it.live(
      `finds ${name}, and plays it again from a text`,
      () =>
        Effect.gen(function* () {
          const found = yield* Effect.flip(ModelRun.check(subject, { runs: 600 }))
          assert.strictEqual(found.invariant, invariant, found.message)
          assert.isAtMost(found.commands.length, 5, found.message)
          const again = yield* Effect.flip(ModelRun.replay(subject, found.replay))
          assert.strictEqual(again.message, found.message)
        }),
      60_000
    )
  }

  it.live("tells what happened, one command after the other, and how to play it again", () =>
    Effect.gen(function* () {
      const { subject } = faults.find(({ name }) => name === "an item handed out after it was invalidated")!
      const { message } = yield* Effect.flip(ModelRun.check(subject, { runs: 600 }))
      assert.strictEqual(
        message,
        `test pool: invariant 7: call 2 was served with item 1, which had been invalidated
  settings: {}
  0 ms  use
      model: open, 0 used, 0 pending
      pool:  open, 0 used, 0 pending, 1 idle, 0 creating, 0 destroying
  0 ms  invalidate
      model: open, 0 used, 0 pending
      pool:  open, 0 used, 0 pending, 1 idle, 0 creating, 0 destroying
  0 ms  the end: all is well, everything goes back, the pool closes
      model: open, 0 used, 0 pending
      pool:  open, 0 used, 0 pending, 1 idle, 0 creating, 0 destroying
  replay: {"settings":{},"options":{},"commands":[{"_tag":"use"},{"_tag":"invalidate"}]}`
      )
    })
  )

  it.live("a text that was written down is a case of its own, whatever is generated", () =>
    Effect.gen(function* () {
      const text = '{"settings":{"max":2},"options":{},"commands":[{"_tag":"use","body":"hold"},{"_tag":"close"}]}'
      const { commands, runs } = yield* ModelRun.replay(subject, text)
      assert.deepStrictEqual({ commands, runs }, { commands: 2, runs: 1 })
    })
  )
})
