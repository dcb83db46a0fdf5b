/** What a model run of the connection pool has beside what it has of every pool. */
import { ConnectionPool } from "@effect-pools/connection"
import type { Gates, ModelRun } from "@effect-pools/testing"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

const optional = Schema.optionalKey

/** Durations are in milliseconds. */
const Options = Schema.Struct({
  order: optional(Schema.Literal("fifo")),
  /** Attempts after the first; default: without end. */
  retries: optional(Schema.Literals([0, 1])),
  breaker: optional(Schema.Literals([1, 3])),
  idleTimeout: optional(Schema.Literals([100, 1000])),
  maxLifetime: optional(Schema.Literals([300, 2000])),
  maxUses: optional(Schema.Literals([1, 3])),
  validateAfterIdle: optional(Schema.Literals([1, 100])),
  keepAlive: optional(Schema.Literals([50, 400])),
  /** Of the health checks; default 150. */
  interval: optional(Schema.Literals([20, 1000])),
  leakDetection: optional(Schema.Literal(100))
})
type Options = typeof Options.Type

const which = Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7])
const steps = optional(Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7]))
const Report = Schema.TaggedStruct("report", { which, outcome: Schema.Literals(["fatal", "suspect", "fine"]), steps })
const CleanUp = Schema.TaggedStruct("cleanUp", { steps })
type Command = typeof Report.Type | typeof CleanUp.Type

export type Pool = ConnectionPool.ConnectionPool<Gates.Item, Gates.GateFailure>

export const special: ModelRun.Special<Pool, Options, Command> = {
  options: Options,
  commands: [Report, CleanUp],
  make: (gates, { steps, ...settings }, options) => {
    const validates = steps.includes("validate")
    const checks = steps.includes("check")
    return ConnectionPool.make({
      ...settings,
      acquire: gates.make,
      order: options.order,
      createRetry: options.retries === undefined ? Schedule.spaced(30) : Schedule.recurs(options.retries),
      breaker: options.breaker === undefined ? false : { failures: options.breaker, probeInterval: 200 },
      idleTimeout: options.idleTimeout,
      maxLifetime: options.maxLifetime,
      maxUses: options.maxUses,
      validate: validates ? gates.onValidate : undefined,
      validateAfterIdle: options.validateAfterIdle ?? 0,
      validationTimeout: 200,
      reset: steps.includes("reset") ? gates.onReset : undefined,
      resetTimeout: 200,
      health: checks ? { check: gates.onCheck, interval: options.interval ?? 150, timeout: 100 } : false,
      keepAlive: checks ? options.keepAlive : undefined,
      leakDetection: options.leakDetection
    })
  },
  run: (pool, command, item) => {
    if (command._tag === "cleanUp") return ConnectionPool.cleanUp(pool)
    return item === undefined ? Effect.void : ConnectionPool.report(pool, item, command.outcome)
  },
  trust: ({ validateAfterIdle }) => validateAfterIdle ?? 0,
  // One near its last use has fewer places than its concurrency.
  places: (max, concurrency, { maxUses }) => (maxUses === undefined ? max * concurrency : max),
  look: (pool) => findings(pool)
}

/** What is wrong inside the pool at this moment. */
function* findings({ admission, store }: Pool): Generator<string> {
  const { concurrency, maxCreating, maxUses } = store.options
  const { creating, idle, lifecycle, live, max, observer, pending, used } = admission
  const states = { idle: 0, used: 0, validating: 0, resetting: 0, checking: 0, destroyed: 0 }
  let room = 0
  let leases = 0
  for (const connection of store.all) {
    const { doom, holders, id, state, uses } = connection
    states[state]++
    leases += holders
    let links = 0
    for (let lease = connection.holder; lease !== undefined; lease = lease.next) links++
    if (links !== holders) yield `connection ${id}: ${holders} holders, ${links} links`
    if ((state === "used") !== holders > 0) yield `connection ${id} is ${state} with ${holders} holders`
    if (state === "used" && holders < concurrency && uses < maxUses && doom === undefined) room++
  }
  const inWords = JSON.stringify(states)
  if (states.destroyed > 0) yield "a destroyed connection is known"
  if (states.idle + states.checking !== idle) yield `${idle} idle, but ${inWords}`
  if (states.used + states.validating + states.resetting !== used) yield `${used} used, but ${inWords}`
  const { acquired, released } = observer
  // When the grace of a close is over, connections go under their holders.
  if (acquired - released !== leases && lifecycle !== "closed")
    yield `${acquired} begun, ${released} ended, ${leases} held`
  if (pending === 0 || lifecycle !== "open") return
  if (states.idle > 0 && pending > states.validating * concurrency) {
    yield `somebody waits while a connection is idle: ${inWords}`
  }
  if (room > 0) yield "somebody waits while a shared connection has room"
  const coming = (states.validating + states.resetting + creating) * concurrency
  if (pending > coming && live < max && creating < maxCreating && store.creation.failures === 0) {
    yield `${pending} wait, ${coming} are served soon, and there is room for more`
  }
}
