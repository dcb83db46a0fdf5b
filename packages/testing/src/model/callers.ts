import { Pool, PoolError } from "@effect-pools/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { GateFailure, type Item } from "../Gates.ts"
import type { Subject } from "../Subject.ts"
import type { Body, Ending } from "./cases.ts"
import { type Answer, Call } from "./model.ts"
import { type AnyPool, TIMES, type World } from "./world.ts"

export interface Caller {
  readonly call: Call
  fiber: Fiber.Fiber<unknown, unknown>
  /** How its body ends; a `get` has none. */
  ending: Ending | undefined
  /** That of a `get`. */
  readonly scope: Scope.Closeable | undefined
  /** Ends a body that holds. */
  letGo: ((ending: Ending) => void) | undefined
}

export interface Asked {
  readonly priority?: number | undefined
  readonly timeout?: number | undefined
}

/** The fibers that use the pool, and what they are answered. */
export class Callers<P extends AnyPool> {
  /** Those without an answer. */
  readonly open: Array<Caller> = []
  /** The scopes of `get`, until they are closed. */
  readonly scopes: Array<Scope.Closeable> = []
  /** Whose leases may outlast their answers. */
  readonly getters: Array<Caller> = []
  /** They must not time out: from some moment on all has been well for long enough. */
  readonly hopeful = new Set<Call>()
  /** Bodies that are to hold do not. */
  isLettingGo = false
  /** How many calls have been served. */
  served = 0
  readonly #world: World<P>
  readonly #subject: Subject<any>
  #calls = 0
  readonly #byFiber = new Map<Fiber.Fiber<any, any>, Call>()
  /** Which item the pool means by a number. */
  readonly #items = new Map<number, Item>()
  /** How many calls had been served when an item was invalidated. */
  readonly #invalidAt = new Map<Item, number>()
  /** The how many-eth call was served, and when. */
  readonly #servings = new Map<Call, { readonly number: number; readonly at: number }>()
  /** When a lease on an item, by the pool's number, last ended well. */
  readonly #workedAt = new Map<number, number>()
  /** For how long an item that worked needs no validation. */
  readonly #trust: number

  constructor(world: World<P>, subject: Subject<any>, trust: number) {
    this.#trust = trust
    this.#world = world
    this.#subject = subject
  }

  // What they do -----------------------------------------------------------------------------------------------------

  use(body: Body, asked: Asked, how: { readonly isOptional?: boolean; readonly isTraced?: boolean } = {}): void {
    const { pool } = this.#world
    const { isOptional = false, isTraced = false } = how
    const caller = this.#caller(asked, isOptional, endingOf(body))
    const run = (value: unknown): Effect.Effect<unknown, string> => {
      const item = this.#subject.item(value)
      // The lease rule holds here too: first the handler, then what it undoes.
      let isIn = false
      return Effect.onExit(
        Effect.suspend(() => {
          isIn = true
          this.#takes(caller.call, item)
          return this.#bodyOf(caller, body)
        }),
        () => Effect.sync(() => isIn && item.holders--)
      )
    }
    const use = isOptional ? Pool.useIfAvailable(pool, run) : this.#subject.use(pool, run, this.#optionsOf(asked))
    this.#start(caller, isTraced ? Effect.withSpan(use, "span") : use)
  }

  get(asked: Asked, isOptional = false): void {
    const { pool } = this.#world
    const scope = Scope.makeUnsafe()
    const caller = this.#caller(asked, isOptional, undefined, scope)
    const get: Effect.Effect<unknown, unknown, Scope.Scope> = isOptional
      ? Pool.getIfAvailable(pool)
      : this.#subject.get(pool, this.#optionsOf(asked))
    const hold = Effect.flatMap(get, (value) =>
      isOptional && Option.isNone(value as Option.Option<unknown>)
        ? Effect.succeed(value)
        : this.#holding(caller.call, isOptional ? Option.getOrThrow(value as Option.Option<unknown>) : value, scope)
    )
    this.scopes.push(scope)
    this.getters.push(caller)
    this.#start(caller, Scope.provide(hold, scope))
  }

  #optionsOf({ priority, timeout }: Asked): Pool.AcquireOptions | undefined {
    const acquireTimeout = this.#subject.lacks.waiting === undefined ? timeout : undefined
    return priority === undefined && acquireTimeout === undefined ? undefined : { priority, acquireTimeout }
  }

  interrupt({ call, fiber }: Caller): void {
    call.isCalledOff = true
    fiber.interruptUnsafe()
  }

  closeScope(scope: Scope.Closeable): void {
    this.scopes.splice(this.scopes.indexOf(scope), 1)
    for (const caller of this.open) if (caller.scope === scope) caller.call.isCalledOff = true
    this.#world.runtime.fork(Scope.close(scope, Exit.void))
  }

  invalidate(item: Item): void {
    const { gates, pool } = this.#world
    const { idle, used } = pool.admission
    // One that is there and not yet the pool's own is unknown to it.
    if (gates.open === idle + used) this.#invalidAt.set(item, this.served)
    this.#world.sync(Pool.invalidate(pool, item))
  }

  #caller(asked: Asked, isOptional: boolean, ending: Ending | undefined, scope?: Scope.Closeable): Caller {
    const timeout = this.#subject.lacks.waiting === undefined ? (asked.timeout ?? TIMES.acquireTimeout) : 0
    const call = new Call(++this.#calls, { isOptional, priority: asked.priority ?? 0, timeout })
    return { call, ending, scope, letGo: undefined, fiber: undefined as never }
  }

  #start(caller: Caller, effect: Effect.Effect<unknown, unknown>): void {
    this.#world.model.asks(caller.call)
    caller.fiber = this.#world.runtime.fork(effect)
    this.#byFiber.set(caller.fiber, caller.call)
    this.open.push(caller)
  }

  /** Holds an item until the scope closes; only then does the lease end. */
  #holding(call: Call, value: unknown, scope: Scope.Closeable): Effect.Effect<void> {
    const item = this.#subject.item(value)
    let isIn = false
    const letGo = Effect.sync(() => void (isIn && item.holders--))
    const hold = Effect.sync(() => {
      if (scope.state._tag === "Closed") return
      isIn = true
      this.#takes(call, item)
    })
    return Effect.andThen(Scope.addFinalizer(scope, letGo), hold)
  }

  #bodyOf(caller: Caller, body: Body): Effect.Effect<unknown, string> {
    if (typeof body === "number") return Effect.sleep(body)
    if (body === "yield") return Effect.yieldNow
    if (body === "die later") return Effect.andThen(Effect.sleep(10), endWith("die"))
    if (body !== "hold") return endWith(body)
    return Effect.callback<void, string>((resume) => {
      if (this.isLettingGo) return resume(Effect.void)
      caller.letGo = (ending) => {
        caller.letGo = undefined
        caller.ending = ending
        resume(endWith(ending))
      }
    })
  }

  // What they get ----------------------------------------------------------------------------------------------------

  callOf(fiber: Fiber.Fiber<any, any> | undefined): Call | undefined {
    return fiber === undefined ? undefined : this.#byFiber.get(fiber)
  }

  /** The pool says that it has served a call. */
  serves(call: Call): void {
    this.#servings.set(call, { number: ++this.served, at: this.#world.now })
  }

  /** The pool says that a call has ended well with its item. */
  works(call: Call): void {
    this.#workedAt.set(call.item!, this.#world.now)
  }

  /** A caller takes an item in hand. */
  #takes(call: Call, item: Item): void {
    const world = this.#world
    const { model, settings } = world
    if (++item.holders > settings.concurrency) world.broken(2, `item ${item.id} is in ${item.holders} hands`)
    // Once the grace of a close is over, items go under their holders.
    if (item.destroying > 0 && model.lifecycle !== "closed") {
      world.broken(7, `call ${call.id} has got item ${item.id}, whose end had begun`)
    }
    const number = call.item
    if (number === undefined) return world.broken("contract", `call ${call.id} has an item that nobody gave it`)
    const known = this.#items.get(number) ?? item
    this.#items.set(number, known)
    if (known !== item)
      world.broken("contract", `the pool's item ${number} was item ${known.id} and is item ${item.id}`)
    const serving = this.#servings.get(call)!
    if (serving.number > (this.#invalidAt.get(item) ?? Infinity)) {
      world.broken(7, `call ${call.id} was served with item ${item.id}, which had been invalidated`)
    }
    // One that others hold is handed out as it is.
    if (settings.concurrency === 1) this.#expectClean(call, item, serving.at)
  }

  #expectClean(call: Call, item: Item, servedAt: number): void {
    const { passed, settings, worked } = this.#world
    if (settings.steps.includes("reset") && item.isDirty) {
      this.#world.broken(7, `call ${call.id} has got item ${item.id}, which was not reset`)
    }
    item.isDirty = true
    const workedAt = Math.max(worked.get(item)!, this.#workedAt.get(call.item!) ?? 0)
    const isTrusted = passed.get(item) === servedAt || servedAt - workedAt < this.#trust
    if (settings.steps.includes("validate") && !isTrusted) {
      this.#world.broken(7, `call ${call.id} has got item ${item.id}, which was not validated`)
    }
  }

  /** Takes out those who have their answers, and compares these with what they were to be told. */
  collect(): void {
    for (let index = this.open.length - 1; index >= 0; index--) {
      const caller = this.open[index]!
      const exit = caller.fiber.pollUnsafe()
      if (exit === undefined) continue
      this.open.splice(index, 1)
      this.#byFiber.delete(caller.fiber)
      this.#ended(caller, exit)
    }
  }

  #ended({ call, ending, scope }: Caller, exit: Exit.Exit<unknown, unknown>): void {
    const world = this.#world
    const answer = answerOf(call, ending, exit)
    world.model.ends(call, answer)
    if (answer === "AcquireTimeout" && this.hopeful.has(call)) {
      world.broken(11, `call ${call.id} timed out, though all has been well for long enough`)
    }
    if (scope === undefined && call.state === "holding") {
      world.broken(2, `call ${call.id} has ended and its lease has not`)
    }
    if (answer === "item" && ending !== undefined && !call.isCalledOff && !endsAs(ending, exit)) {
      world.broken("contract", `the body of call ${call.id} ended with ${ending}, the call with ${String(exit)}`)
    }
  }
}

const BODY = "the body's own failure"

const endWith = (ending: Ending): Effect.Effect<void, string> => {
  switch (ending) {
    case "ok":
      return Effect.void
    case "fail":
      return Effect.fail(BODY)
    case "die":
      return Effect.die(BODY)
    case "interrupt":
      return Effect.interrupt
  }
}

const endsAs = (ending: Ending, exit: Exit.Exit<unknown, unknown>): boolean => {
  if (ending === "ok" || Exit.isSuccess(exit)) return ending === "ok" && Exit.isSuccess(exit)
  const { reasons } = exit.cause
  if (ending === "interrupt") return Cause.hasInterruptsOnly(exit.cause)
  return reasons.some((reason) =>
    ending === "fail"
      ? Cause.isFailReason(reason) && reason.error === BODY
      : Cause.isDieReason(reason) && reason.defect === BODY
  )
}

const endingOf = (body: Body): Ending => {
  switch (body) {
    case "fail":
    case "die":
    case "interrupt":
      return body
    case "die later":
      return "die"
    default:
      return "ok"
  }
}

const answerOf = (call: Call, ending: Ending | undefined, exit: Exit.Exit<unknown, unknown>): Answer => {
  if (Exit.isSuccess(exit)) {
    const { value } = exit
    return call.ask.isOptional && Option.isOption(value) && Option.isNone(value) ? "nothing" : "item"
  }
  const { cause } = exit
  if (Cause.hasInterruptsOnly(cause) && call.isCalledOff) return "interruption"
  // What a body does, it does with an item.
  if (ending !== undefined && endsAs(ending, exit)) return "item"
  const error = cause.reasons.find(Cause.isFailReason)?.error
  if (error instanceof PoolError.PoolError) {
    const { reason } = error
    return reason._tag === "AcquireTimeout" && reason.phase === "create" ? "failure" : reason._tag
  }
  if (error instanceof GateFailure || cause.reasons.some(Cause.isDieReason)) return "failure"
  return "interruption"
}
