/** What the tests of workers share. */
import { PoolError } from "@effect-pools/core"
import { InstancePool } from "@effect-pools/instance"
import { Auditor } from "@effect-pools/testing"
import { WorkerInstanceError, WorkerInstancePool } from "@effect-pools/worker"
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import { Sandbox } from "./fixtures/sandbox.ts"

type Calls = RpcGroup.Rpcs<typeof Sandbox>
export type Worker = WorkerInstancePool.Worker<Calls>
export type Pool = WorkerInstancePool.WorkerInstancePool<Calls>

export const script = (name: string): URL => new URL(`./fixtures/${name}`, import.meta.url)

/** The options of a pool of sandboxes; starting one may take seconds on a busy machine. */
export const options = {
  group: Sandbox,
  spawn: script("sandbox.worker.ts"),
  acquireTimeout: "60 seconds",
  createTimeout: "60 seconds",
  callTimeout: "60 seconds",
  destroyTimeout: "60 seconds",
  // Not what the test runner was started with.
  execArgv: []
} as const satisfies WorkerInstancePool.Options<Calls>

export const open = (more?: Partial<WorkerInstancePool.Options<Calls>>) =>
  WorkerInstancePool.make<Calls>({ ...options, ...more })

export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** What an effect has ended with: the reason of one of our errors, another failure, a defect, or its success. */
export const told = <A, E>(exit: Exit.Exit<A, E>): unknown => {
  if (Exit.isSuccess(exit)) return exit.value
  const reason = exit.cause.reasons[0]
  if (reason?._tag === "Die") return { defect: reason.defect }
  if (reason?._tag !== "Fail") return reason?._tag
  const { error } = reason
  const isOurs = error instanceof PoolError.PoolError || error instanceof WorkerInstanceError.WorkerInstanceError
  return isOurs ? error.reason : error
}

export const outcome = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.map(Effect.exit(effect), told)

/** The threads that live, as far as Node counts them: one message port each, and one for its output. */
export const threads = (): number =>
  process.getActiveResourcesInfo().filter((resource) => resource === "MessagePort").length

/** All places are free, after the last worker has gone, and a new lease works. */
export const expectIntact = Effect.fnUntraced(function* (pool: Pool) {
  yield* atRest(pool)
  expect(yield* InstancePool.use(pool, (worker) => worker.Double({ n: 21 }))).toBe(42)
  yield* atRest(pool)
})

/** Waits until nothing is out, and nothing is being made or destroyed. */
export const atRest = (pool: Pool) =>
  Effect.gen(function* () {
    const { admission } = pool
    while (admission.used + admission.creating + admission.destroying > 0) yield* Effect.sleep("5 millis")
    expect(admission.pending).toBe(0)
  })

/** Runs a test with a pool that is audited to its end. */
export const withPool = <A, E, R>(
  test: (pool: Pool) => Effect.Effect<A, E, R>,
  more?: Partial<WorkerInstancePool.Options<Calls>>
) =>
  Effect.gen(function* () {
    const pool = yield* open(more)
    const auditor = yield* Auditor.make(pool)
    yield* test(pool)
    yield* atRest(pool)
    yield* Auditor.expectAtRest(auditor)
  }).pipe(Effect.scoped)
