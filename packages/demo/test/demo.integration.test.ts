import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { eventually } from "../src/eventually.ts"
import { DemoResult } from "../src/result.ts"
import * as Server from "../src/server.ts"
import { startDemo } from "./process.ts"

describe("the demo", () => {
  it.live("keeps its invariants in a short run, and writes what it reports", () =>
    Effect.gen(function* () {
      const demo = yield* startDemo(["--seconds", "2", "--concurrency", "16", "--json", "result.json"])
      assert.strictEqual(yield* Effect.promise(() => demo.exited), 0, demo.output)
      assert.include(demo.output, "All invariants held.")
      const result = yield* Schema.decodeUnknownEffect(DemoResult)(
        JSON.parse(readFileSync(join(demo.folder, "result.json"), "utf8"))
      )
      assert.isTrue(result.held)
      assert.deepStrictEqual(
        result.stages.map(({ name }) => name),
        ["warm-up", "steady", "spike", "faults", "recovery"]
      )
      assert.strictEqual(
        result.stages.reduce((sum, stage) => sum + stage.requests, 0),
        result.requests.asked
      )
      const [part, plugins, receipts, partners, frames, budget] = result.parts
      const [stats] = part!.pools
      assert.isAbove(part!.facts["backends terminated"]!, 0)
      assert.isAtMost(part!.facts["most backends on the server"]!, stats!.max)
      assert.strictEqual(stats!.acquired, stats!.released)
      assert.isAbove(plugins!.facts["plugins that trapped"]!, 0)
      assert.isAbove(plugins!.facts["plugins that ran away"]!, 0)
      assert.deepStrictEqual(
        plugins!.pools.map(({ kind, name }) => [kind, name]),
        [
          ["instance", "pricing"],
          ["instance", "promotions"]
        ]
      )
      assert.isAbove(receipts!.facts["receipts printed"]!, 10)
      assert.isAbove(receipts!.facts["of orders placed"]!, 10)
      assert.isAbove(receipts!.facts["KiB returned to the system"]!, 0)
      assert.deepStrictEqual(
        receipts!.pools.map(({ kind, name }) => [kind, name]),
        [["arena", "receipts"]]
      )
      assert.isAbove(partners!.facts["parcels priced"]!, 10)
      assert.isAbove(partners!.facts["lines closed for others"]!, 0)
      assert.deepStrictEqual(
        partners!.pools.map(({ kind, name }) => [kind, name]),
        [["resource", "partners"]]
      )
      assert.isAbove(frames!.facts["frames sent"]!, 10)
      assert.strictEqual(frames!.facts["threads terminated"], 1)
      assert.isAbove(frames!.facts["slots reclaimed"]!, 0)
      assert.deepStrictEqual(
        frames!.pools.map(({ kind, name }) => [kind, name]),
        [["shared", "frames"]]
      )
      assert.isAtMost(budget!.facts["permits taken at most"]!, 12)
      assert.deepStrictEqual(demo.leftBehind, ["result.json"])
    }).pipe(Effect.scoped)
  )

  it.live("says in one line that no server answers", () =>
    Effect.gen(function* () {
      const demo = yield* startDemo([], { DATABASE_URL: "postgres://nobody@127.0.0.1:1/nothing" })
      assert.strictEqual(yield* Effect.promise(() => demo.exited), 1)
      assert.include(demo.output, "Failed to connect: connect ECONNREFUSED 127.0.0.1:1")
      assert.notInclude(demo.output, "    at ")
      assert.deepStrictEqual(demo.leftBehind, [])
    }).pipe(Effect.scoped)
  )
})

describe("a given server", () => {
  const given = Effect.gen(function* () {
    const server = yield* Server.open
    const admin = yield* PgConnection.make({ url: server.url })
    return { admin, url: new URL(Redacted.value(server.url)) }
  }).pipe(Effect.provide([NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromUnknown({}))]))

  it.live("is told in one line when it cannot be used", () =>
    Effect.gen(function* () {
      const { admin, url } = yield* given
      yield* admin.query(`create role guest login password 'guest'`)
      const withUser = (name: string) => Object.assign(new URL(url), { username: name, password: name })
      for (const [unusable, says] of [
        [Object.assign(new URL(url), { pathname: "/nothing" }), `: database "nothing" does not exist`],
        [withUser("nobody"), `: password authentication failed for user "nobody"`],
        [withUser("guest"), ": permission denied for database postgres"]
      ] as const) {
        const demo = yield* startDemo([], { DATABASE_URL: unusable.href })
        assert.strictEqual(yield* Effect.promise(() => demo.exited), 1)
        assert.include(demo.output, says)
        // The line is below a heading.
        assert.strictEqual(demo.output.trim().split("\n").length, 2, demo.output)
      }
    }).pipe(Effect.scoped)
  )

  it.live("keeps nothing of the demo's when the terminal is closed", () =>
    Effect.gen(function* () {
      const { admin, url } = yield* given
      const schemas = Effect.map(
        admin.query(`select nspname from pg_namespace where nspname like 'effect\\_pools\\_%'`),
        ({ rows }) => rows.length
      )
      const demo = yield* startDemo(["--seconds", "5"], { DATABASE_URL: url.href })
      yield* Effect.promise(() => demo.says("warm-up"))
      assert.strictEqual(yield* schemas, 1)
      demo.hangUp()
      assert.strictEqual(yield* Effect.promise(() => demo.exited), 130, demo.output)
      assert.strictEqual(yield* schemas, 0)
    }).pipe(Effect.scoped)
  )
})

describe("an interrupted demo", () => {
  for (const [signal, moment] of [
    ["SIGINT", "Starting PostgreSQL"],
    ["SIGINT", "warm-up"],
    ["SIGINT", "spike"],
    ["SIGTERM", "steady"],
    ["SIGHUP", "warm-up"]
  ] as const) {
    it.live(`leaves nothing behind when ${signal} comes after it has said "${moment}"`, () =>
      Effect.gen(function* () {
        const demo = yield* startDemo(["--seconds", "5"])
        yield* Effect.promise(() => demo.says(moment))
        demo.kill(signal)
        assert.strictEqual(yield* Effect.promise(() => demo.exited), 130, demo.output)
        assert.include(demo.output, "Interrupted. Everything is closed.")
        assert.deepStrictEqual(demo.leftBehind, [])
      }).pipe(Effect.scoped)
    )
  }

  it.live("leaves nothing behind even when it is killed", () =>
    Effect.gen(function* () {
      const demo = yield* startDemo(["--seconds", "5"])
      yield* Effect.promise(() => demo.says("warm-up"))
      demo.kill("SIGKILL")
      yield* Effect.promise(() => demo.exited)
      // The keeper finds out by itself.
      assert.deepStrictEqual(
        yield* eventually(
          Effect.sync(() => demo.leftBehind),
          (left) => left.length === 0
        ),
        []
      )
    }).pipe(Effect.scoped)
  )
})
