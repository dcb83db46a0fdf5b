/**
 * How a worker comes to its end before its time.
 *
 * There is one error, {@link WorkerInstanceError}, with a `reason`, as `PoolError` does it:
 * `Effect.catchTag("WorkerInstanceError", …)` takes them all, `Effect.catchReason("WorkerInstanceError", "CallTimeout", …)`
 * one of them. Failures that a handler declares are never wrapped.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { inWords } from "./internal/inWords.ts"

/**
 * The worker owed an answer for longer than a call may take.
 *
 * **Details**
 *
 * `rpc` is the call that it owed, which may be another than the one that fails: they end together. `timeout` is in
 * milliseconds.
 *
 * @category errors
 * @since 0.1.0
 */
export class CallTimeout extends Schema.TaggedError<CallTimeout>("effect-pools/WorkerInstanceError/CallTimeout")(
  "CallTimeout",
  { pool: Schema.String, rpc: Schema.String, timeout: Schema.Number }
) {
  override get message(): string {
    return `Pool "${this.pool}": the worker owed "${this.rpc}" an answer for ${this.timeout} ms and was terminated`
  }
}

/**
 * The worker reached the limit of its heap.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutOfMemory extends Schema.TaggedError<OutOfMemory>("effect-pools/WorkerInstanceError/OutOfMemory")(
  "OutOfMemory",
  { pool: Schema.String, cause: Schema.Defect() }
) {
  override get message(): string {
    return `Pool "${this.pool}": the worker ran out of memory`
  }
}

/**
 * The worker exited by itself: it called `process.exit`, or had nothing left to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class Exited extends Schema.TaggedError<Exited>("effect-pools/WorkerInstanceError/Exited")("Exited", {
  pool: Schema.String,
  code: Schema.Number
}) {
  override get message(): string {
    return `Pool "${this.pool}": the worker exited by itself with code ${this.code}`
  }
}

/**
 * Something was thrown in the worker that nobody caught, or a handler ended with a defect or interrupted itself, or the
 * worker has sent what is no answer, or one that nobody has asked for.
 *
 * **Details**
 *
 * `cause` is what was thrown, of which long texts and large structures are cut short.
 *
 * @category errors
 * @since 0.1.0
 */
export class Crashed extends Schema.TaggedError<Crashed>("effect-pools/WorkerInstanceError/Crashed")("Crashed", {
  pool: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `Pool "${this.pool}": the worker crashed: ${inWords(this.cause)}`
  }
}

/**
 * The worker ended before it was ready: its module can't be found or loaded, does not serve, or its handlers could not be
 * built. `cause` is what the module threw, or the reason of the worker's end.
 *
 * @category errors
 * @since 0.1.0
 */
export class StartFailed extends Schema.TaggedError<StartFailed>("effect-pools/WorkerInstanceError/StartFailed")(
  "StartFailed",
  { pool: Schema.String, cause: Schema.Defect() }
) {
  override get message(): string {
    return `Pool "${this.pool}": the worker did not start: ${inWords(this.cause)}`
  }
}

/**
 * What was to be sent can't be passed between threads: a function for example.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotSendable extends Schema.TaggedError<NotSendable>("effect-pools/WorkerInstanceError/NotSendable")(
  "NotSendable",
  { pool: Schema.String, direction: Schema.Literals(["request", "response"]), cause: Schema.Defect() }
) {
  override get message(): string {
    return `Pool "${this.pool}": a ${this.direction} can't be passed between threads: ${inWords(this.cause)}`
  }
}

/**
 * The worker's lease has ended, and the worker with it: the call came too late, or had not been answered yet.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaseEnded extends Schema.TaggedError<LeaseEnded>("effect-pools/WorkerInstanceError/LeaseEnded")(
  "LeaseEnded",
  { pool: Schema.String }
) {
  override get message(): string {
    return `Pool "${this.pool}": the lease of the worker has ended`
  }
}

/**
 * @category errors
 * @since 0.1.0
 */
export type WorkerInstanceErrorReason =
  | CallTimeout
  | OutOfMemory
  | Exited
  | Crashed
  | StartFailed
  | NotSendable
  | LeaseEnded

/**
 * A worker has ended before its time. `reason` says why.
 *
 * **Details**
 *
 * Every call that it had not answered fails with the same error, and so does every later one: a worker does not come back.
 * The next lease has another.
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkerInstanceError extends Schema.TaggedError<WorkerInstanceError>("effect-pools/WorkerInstanceError")(
  "WorkerInstanceError",
  { reason: Schema.Union([CallTimeout, OutOfMemory, Exited, Crashed, StartFailed, NotSendable, LeaseEnded]) }
) {
  override readonly cause = this.reason

  override get message(): string {
    return this.reason.message
  }

  get pool(): string {
    return this.reason.pool
  }
}
