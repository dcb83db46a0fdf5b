/** What the tests of workers share. */
import { PoolError } from "@effect-pools/core"
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
export type Options = Partial<WorkerInstancePool.Options<Calls>>

/** The modules of the tests' workers and programs. */
export const scripts = {
  light: new URL("./fixtures/light.worker.ts", import.meta.url),
  sandbox: new URL("./fixtures/sandbox.worker.ts", import.meta.url),
  broken: new URL("./fixtures/broken.worker.ts", import.meta.url),
  handlers: new URL("./fixtures/handlers.worker.ts", import.meta.url),
  program: new URL("./fixtures/program.ts", import.meta.url)
}

/** The options of a pool of sandboxes. On a busy machine starting one may take seconds where it is not a light one. */
export const options: WorkerInstancePool.Options<Calls> = {
  group: Sandbox,
  spawn: scripts.light,
  // Not what the test runner was started with.
  execArgv: [],
  acquireTimeout: "50 seconds",
  createTimeout: "50 seconds",
  callTimeout: "50 seconds",
  destroyTimeout: "50 seconds"
}

export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** What an effect has ended with: the reason of an error of ours, another failure, a defect, or its success. */
const told = <A, E>(exit: Exit.Exit<A, E>): unknown => {
  if (Exit.isSuccess(exit)) return exit.value
  const reason = exit.cause.reasons[0]
  if (reason?._tag === "Die") return { defect: reason.defect }
  if (reason?._tag !== "Fail") return reason?._tag
  const { error } = reason
  const isOurs = error instanceof PoolError.PoolError || error instanceof WorkerInstanceError.WorkerInstanceError
  return isOurs ? error.reason : error
}

export const outcome = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.map(Effect.exit(effect), told)

/** Waits until what comes with no event of the pool's is so. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(condition))))

/** Waits until no worker is in use, being started or ending. */
export const atRest = ({ admission }: Pool): Effect.Effect<void> =>
  until(() => admission.used + admission.creating + admission.destroying + admission.pending === 0)

/** Runs a test with a pool that is audited when the test has ended and all has come to rest. */
export const withPool = <A, E, R>(more: Options, test: (pool: Pool) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const pool: Pool = yield* WorkerInstancePool.make<Calls>({ ...options, ...more })
    const auditor = yield* Auditor.make(pool)
    yield* test(pool)
    yield* atRest(pool)
    yield* Auditor.expectAtRest(auditor)
    expect(pool.admission.live).toBe(pool.admission.idle)
  }).pipe(Effect.scoped)
