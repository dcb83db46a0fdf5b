/** Kinds of pools that lack much of what the suites know of: whoever writes one must not find the suites in the way. */
import {
  type Admission,
  InvalidOptions,
  type Lease,
  Observer,
  Pool,
  Supply,
  SynchronousStore,
  type PoolEvent,
  type Store
} from "@effect-pools/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import type { GateFailure, Gates, Item } from "../src/Gates.ts"
import * as Subject from "../src/Subject.ts"

class Entry implements Lease.Entry<Item>, Supply.Ending {
  readonly id: number
  readonly value: Item
  readonly scope: Scope.Closeable
  readonly createdAt: number
  holder: Lease.Lease<Item> | undefined = undefined

  constructor(id: number, value: Item, scope: Scope.Closeable, createdAt: number) {
    this.id = id
    this.value = value
    this.scope = scope
    this.createdAt = createdAt
  }
}

/** The smallest store there is: an item is made for a lease, and ends with it; one that nobody wants is spare. */
class FreshStore implements Store.Store<Item, GateFailure> {
  readonly #admission: Admission.Admission<Item, GateFailure>
  readonly #supply: Supply.Supply<Item, GateFailure>
  readonly #entries = new Set<Entry>()
  readonly #spare: Array<Entry> = []
  readonly #invalid = new Set<Item>()

  constructor(admission: Admission.Admission<Item, GateFailure>, options: Supply.Options<Item, GateFailure>) {
    this.#admission = admission
    this.#supply = new Supply.Supply(admission, options)
  }

  take(): Entry | undefined {
    const entry = this.#spare.pop()
    if (entry === undefined) return undefined
    this.#admission.idle--
    this.#admission.used++
    return entry
  }

  giveBack(entry: Entry): void {
    if (this.#entries.has(entry)) this.#destroy(entry, this.#invalid.has(entry.value) ? "invalidated" : "released")
  }

  replenish(): void {
    const admission = this.#admission
    while (
      admission.lifecycle === "open" &&
      admission.demanding > admission.creating + admission.idle &&
      admission.claim("line")
    ) {
      this.#supply.make({
        created: (value, scope, now, took) => this.#created(value, scope, now, took),
        failed: (cause) => {
          if (!admission.failFirst(Effect.failCause(cause))) admission.warn("An item could not be made", cause)
        }
      })
    }
  }

  #created(value: Item, scope: Scope.Closeable, now: number, took: number): void {
    const admission = this.#admission
    const entry = new Entry(++admission.observer.created, value, scope, now)
    this.#entries.add(entry)
    admission.creating--
    admission.used++
    admission.observer.emit({ _tag: "ItemCreated", item: entry.id, took })
    const { creating, idle, lifecycle, max, used } = admission
    if (lifecycle === "draining" || lifecycle === "closed") return this.#destroy(entry, "closed")
    if (idle + used + creating > max) return this.#destroy(entry, "shrink")
    if (admission.offer(entry, now)) return
    admission.used--
    admission.idle++
    this.#spare.push(entry)
  }

  #destroy(entry: Entry, reason: PoolEvent.DestroyReason): void {
    const place = this.#spare.indexOf(entry)
    if (place === -1) this.#admission.used--
    else {
      this.#spare.splice(place, 1)
      this.#admission.idle--
    }
    this.#entries.delete(entry)
    this.#supply.end(entry, reason)
  }

  invalidate(value: Item): void {
    for (const entry of Array.from(this.#entries)) {
      if (entry.value !== value) continue
      this.#invalid.add(value)
      if (entry.holder === undefined) this.#destroy(entry, "invalidated")
    }
  }

  resized(): void {
    const admission = this.#admission
    while (this.#spare.length > 0 && admission.idle + admission.used + admission.creating > admission.max) {
      this.#destroy(this.#spare[0]!, "shrink")
    }
  }

  idleSince(): number | undefined {
    return this.#spare[0]?.createdAt
  }

  evict(): void {
    if (this.#spare[0] !== undefined) this.#destroy(this.#spare[0], "reclaimed")
  }

  shutdown(): void {
    for (const entry of Array.from(this.#spare)) this.#destroy(entry, "closed")
    this.#supply.stop()
  }

  abandon(): void {
    for (const entry of Array.from(this.#entries)) this.#destroy(entry, "closed")
  }

  *leases(): Generator<Lease.Lease<Item>, void> {
    for (const { holder } of this.#entries) if (holder !== undefined) yield holder
  }

  turnedAway(): void {}
  mayOffer(): boolean {
    return false
  }
  refusal(): undefined {}
  timeoutFailure(): undefined {}
  lastCreateFailure(): string | undefined {
    const { lastFailure } = this.#supply
    return lastFailure === undefined ? undefined : Observer.inWords(lastFailure)
  }
  details(): Record<string, never> {
    return {}
  }
}

/** The gates as steps in plain code: those that take time are not for them. */
const stepsOf = (gates: Gates, resets: boolean): SynchronousStore.Steps<Item, GateFailure> => {
  const scopes = new WeakMap<Item, Scope.Closeable>()
  const run = <A>(effect: Effect.Effect<A, GateFailure>): A => {
    const exit = Effect.runSyncExit(effect)
    if (Exit.isSuccess(exit)) return exit.value
    // What is thrown is the cause itself, of which nothing is to be lost.
    throw Cause.hasInterruptsOnly(exit.cause) ? Cause.die(new Error("interrupted from within")) : exit.cause
  }
  return {
    make: () => {
      const scope = Scope.makeUnsafe()
      const item = run(Effect.provideService(gates.make, Scope.Scope, scope))
      scopes.set(item, scope)
      return item
    },
    failure: (thrown) => thrown as Cause.Cause<GateFailure>,
    reset: resets ? (item) => run(gates.onReset(item)) !== false : undefined,
    destroy: (item) => run(Scope.close(scopes.get(item)!, Exit.void))
  }
}

const poor = {
  minimum: "items are made on demand",
  creationLimit: "as many items are made as callers ask for",
  retries: "a creation that fails is the failure of the caller",
  validation: "items are handed out as they are",
  checks: "nobody looks at items that lie idle",
  sharing: "an item has one holder"
}

interface Ways {
  readonly kind: string
  /** An item is made in the caller's own step, and handed out again when it comes back. */
  readonly isSynchronous: boolean
  readonly waits: boolean
}

const subjectOf = (ways: Ways): Subject.Subject<Item> =>
  Subject.make({
    kind: ways.kind,
    make: (gates, settings) =>
      Effect.flatMap(
        InvalidOptions.check(() => {
          const checks = new InvalidOptions.Checks(
            new InvalidOptions.Checks(ways.kind).name(settings.name, () => Pool.generateName(ways.kind))
          )
          const zero = { zero: true, infinity: true }
          return {
            name: checks.pool,
            ...Pool.checkSize(checks, { max: settings.max }, { min: 0, max: 10 }),
            acquireTimeout: ways.waits ? checks.millis("acquireTimeout", settings.acquireTimeout, 30_000, zero) : 0,
            maxWaiters: checks.limit("maxWaiters", settings.maxWaiters, Infinity, 0),
            acquire: gates.make,
            createTimeout: checks.millis("createTimeout", settings.createTimeout, 30_000, { infinity: true }),
            destroyTimeout: checks.millis("destroyTimeout", settings.destroyTimeout, 5000, { infinity: true }),
            closeGrace: checks.millis("closeGrace", settings.closeGrace, 0, zero)
          }
        }),
        (checked) =>
          Pool.open({
            kind: ways.kind,
            settings: checked,
            closeGrace: checked.closeGrace,
            store: (admission: Admission.Admission<Item, GateFailure>): Store.Store<Item, GateFailure> =>
              ways.isSynchronous
                ? new SynchronousStore.SynchronousStore(admission, stepsOf(gates, settings.steps.includes("reset")))
                : new FreshStore(admission, checked)
          })
      ).pipe(
        // Not even the run loop comes in between where an item is made in the caller's own step.
        ways.isSynchronous ? Effect.provideService(Scheduler.MaxOpsBeforeYield, Infinity) : identity
      ),
    item: (value) => value,
    lacks: {
      ...poor,
      ...(ways.isSynchronous
        ? { time: "items are made, reset and ended in plain code" }
        : { reuse: "each lease has an item of its own", reset: "no item is used twice" }),
      ...(ways.waits ? {} : { waiting: "callers are served at once or not at all" })
    }
  })

/** As plugin instances are pooled: never the same one twice. */
export const fresh = subjectOf({ kind: "fresh", isSynchronous: false, waits: true })
/** As scratch memory is pooled: allocated on the spot. */
export const synchronous = subjectOf({ kind: "synchronous", isSynchronous: true, waits: true })
/** As slots are pooled: there is one or there is none. */
export const nonBlocking = subjectOf({ kind: "non-blocking", isSynchronous: true, waits: false })
