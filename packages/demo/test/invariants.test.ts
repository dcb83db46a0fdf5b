import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { conclude } from "../src/command.ts"
import { loadWasReal, noTransactionHandedOn } from "../src/consistency.ts"
import { allHeld, invariant, nothingLeaked, serviceResumed } from "../src/invariants.ts"
import { Ledger } from "../src/ledger.ts"
import { DemoResult } from "../src/result.ts"

const time = { count: 3, mean: 1, p50: 1, p95: 1, p99: 1, max: 1 }

const sound = {
  name: "orders",
  kind: "connection",
  state: "open" as const,
  min: 0,
  max: 10,
  idle: 2,
  used: 0,
  creating: 0,
  destroying: 0,
  pending: 0,
  size: 2,
  acquired: 30,
  released: 30,
  created: 3,
  createFailed: 0,
  timeouts: 0,
  exhausted: 0,
  destroyed: {
    idleTimeout: 1,
    maxLifetime: 0,
    maxUses: 0,
    unhealthy: 0,
    validationFailed: 0,
    resetFailed: 0,
    invalidated: 0,
    shrink: 0,
    reclaimed: 0,
    abandoned: 0,
    released: 0,
    closed: 0
  },
  wait: time,
  use: time,
  create: time,
  details: {}
}

const result = (held: boolean): DemoResult => ({
  server: "own",
  seconds: 1,
  concurrency: 1,
  stages: [],
  requests: { asked: 1, answered: 1, perSecond: 1, outcomes: { ok: 1 } },
  parts: [{ name: "connection", pools: [sound], facts: {}, invariants: [invariant("it holds", held, "")] }],
  invariants: [],
  held
})

describe("invariants", () => {
  it("hold for a pool that has lost nothing", () => {
    assert.isTrue(allHeld(nothingLeaked(sound, 2)))
  })

  for (const [what, stats, items] of [
    ["a lease that never came back", { acquired: 31 }, 2],
    ["an item in use at the end", { used: 1, idle: 1 }, 2],
    ["a caller that still waits", { pending: 1 }, 2],
    ["an item that the pool does not know of", {}, 3],
    ["an item that nobody destroyed", { created: 4 }, 2],
    ["more items than there may be", { idle: 11, size: 11, created: 12 }, 11]
  ] as const) {
    it(`are broken by ${what}`, () => {
      assert.isFalse(allHeld(nothingLeaked({ ...sound, ...stats }, items)))
    })
  }

  for (const [what, outcomes, held] of [
    ["when all are answered", { ok: 9, OutOfStock: 1 }, true],
    ["when only the hurried are not", { ok: 5, TooBusy: 3, TooSlow: 3 }, true],
    ["when one connection turns out to be broken", { ok: 1, "SqlError.ConnectionError": 1 }, true],
    ["without a request", {}, false],
    ["when every statement fails", { "SqlError.UnknownError": 10, TooSlow: 1 }, false],
    ["when some never get a connection", { ok: 7, "PoolError.AcquireTimeout": 3 }, false],
    ["when users give up", { ok: 5, DeadlineExceeded: 5 }, false]
  ] as const) {
    it(`${held ? "tell" : "do not tell"} that the service resumed ${what}`, () => {
      assert.strictEqual(serviceResumed(outcomes).held, held)
    })
  }

  it("hold for a real load only", () => {
    const ledger = new Ledger()
    assert.isFalse(loadWasReal(ledger).held)
    ledger.asked("order")
    ledger.viewsAsked++
    assert.isFalse(loadWasReal(ledger).held)
    ledger.confirmed("order")
    assert.isFalse(loadWasReal(ledger).held)
    ledger.viewsConfirmed++
    assert.isTrue(loadWasReal(ledger).held)
  })

  it("are broken by a transaction that was handed on, and when none could be", () => {
    const ledger = new Ledger()
    assert.isFalse(noTransactionHandedOn(ledger, 0).held)
    ledger.unfinished++
    assert.isTrue(noTransactionHandedOn(ledger, 0).held)
    assert.isFalse(noTransactionHandedOn(ledger, 1).held)
  })

  it("do not hold when nothing was checked", () => {
    assert.isFalse(allHeld([]))
  })
})

describe("the exit code", () => {
  const exitCode = (held: boolean) =>
    Effect.gen(function* () {
      const said: Array<string> = []
      const console: Partial<Console.Console> = { log: (text: string) => said.push(text) }
      const exit = yield* Effect.exit(conclude(result(held), Option.none())).pipe(
        Effect.provideService(Console.Console, console as Console.Console)
      )
      let code: number | undefined
      Runtime.defaultTeardown(exit, (exitCode) => {
        code = exitCode
      })
      return { code, said: said.join("\n") }
    }).pipe(Effect.provide(NodeServices.layer))

  it.effect("is 0 when all held", () =>
    Effect.gen(function* () {
      const { code, said } = yield* exitCode(true)
      assert.strictEqual(code, 0)
      assert.include(said, "held    connection: it holds")
    })
  )

  it.effect("is 1 when one was broken", () =>
    Effect.gen(function* () {
      const { code, said } = yield* exitCode(false)
      assert.strictEqual(code, 1)
      assert.include(said, "BROKEN  connection: it holds")
    })
  )

  it.effect("does not keep a broken result from being written", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.makeTempFileScoped()
      const exit = yield* Effect.exit(conclude(result(false), Option.some(file)))
      assert.isTrue(Exit.isFailure(exit))
      const written = yield* Schema.decodeUnknownEffect(DemoResult)(JSON.parse(yield* fs.readFileString(file)))
      assert.deepStrictEqual(written, result(false))
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("the ledger", () => {
  it("finds orders that were lost, and those that nobody placed", () => {
    const ledger = new Ledger()
    for (const key of ["confirmed", "lost", "refused", "placed all the same", "unknown", "unknown but placed"]) {
      ledger.asked(key)
    }
    ledger.confirmed("confirmed")
    ledger.confirmed("lost")
    ledger.refused("refused")
    ledger.refused("placed all the same")
    assert.deepStrictEqual(ledger.compare(["confirmed", "placed all the same", "unknown but placed", "from nowhere"]), {
      lost: 1,
      foreign: 2,
      unconfirmed: 1
    })
  })
})
