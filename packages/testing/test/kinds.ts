/** Kinds of pools that lack much of what the suites know of: whoever writes one must not find the suites in the way. */
import {
  type Admission,
  InvalidOptions,
  type Lease,
  Observer,
  Pool,
  Supply,
  type PoolEvent,
  type Store
} from "@effect-pools/core"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import type { GateFailure, Item } from "../src/Gates.ts"
import * as Subject from "../src/Subject.ts"

interface Ways {
  readonly kind: string
  /** An item that comes back is handed out again. */
  readonly reuses: boolean
  /** An item is made in the caller's own step. */
  readonly isSynchronous: boolean
  readonly waits: boolean
}

class Entry implements Lease.Entry<Item>, Supply.Ending {
  readonly id: number
  readonly value: Item
  readonly scope: Scope.Closeable
  readonly createdAt: number
  holder: Lease.Lease<Item> | undefined = undefined
  isInvalid = false

  constructor(id: number, value: Item, scope: Scope.Closeable, createdAt: number) {
    this.id = id
    this.value = value
    this.scope = scope
    this.createdAt = createdAt
  }
}

class PlainStore implements Store.Store<Item, GateFailure> {
  readonly #ways: Ways
  readonly #admission: Admission.Admission<Item, GateFailure>
  readonly #supply: Supply.Supply<Item, GateFailure>
  readonly #entries = new Set<Entry>()
  readonly #idle: Array<Entry> = []
  #failure: Effect.Effect<never, GateFailure> | undefined

  constructor(
    ways: Ways,
    admission: Admission.Admission<Item, GateFailure>,
    options: Supply.Options<Item, GateFailure>
  ) {
    this.#ways = ways
    this.#admission = admission
    this.#supply = new Supply.Supply(admission, options)
  }

  take(): Entry | undefined {
    const entry = this.#idle.pop()
    if (entry === undefined) return this.#ways.isSynchronous ? this.#makeNow() : undefined
    this.#admission.idle--
    this.#admission.used++
    return entry
  }

  #makeNow(): Entry | undefined {
    let made: Entry | undefined
    if (this.#admission.live >= this.#admission.max) return undefined
    this.#failure = undefined
    this.#supply.make({
      created: (value, scope, now, took) => (made = this.#enter(value, scope, now, took)),
      failed: (cause) => {
        this.#failure = Effect.failCause(cause) as Effect.Effect<never, GateFailure>
      }
    })
    return made
  }

  #enter(value: Item, scope: Scope.Closeable, now: number, took: number): Entry {
    const entry = new Entry(++this.#admission.observer.created, value, scope, now)
    this.#entries.add(entry)
    this.#admission.creating--
    this.#admission.used++
    this.#admission.observer.emit({ _tag: "ItemCreated", item: entry.id, took })
    return entry
  }

  giveBack(entry: Entry): void {
    if (!this.#entries.has(entry)) return
    const { creating, idle, lifecycle, max, used } = this.#admission
    if (entry.isInvalid) return this.#destroy(entry, "invalidated")
    if (lifecycle === "draining" || lifecycle === "closed") return this.#destroy(entry, "closed")
    if (idle + used + creating > max) return this.#destroy(entry, "shrink")
    if (!this.#ways.reuses) return this.#destroy(entry, "released")
    this.#lieIdle(entry)
  }

  #lieIdle(entry: Entry): void {
    if (this.#admission.offer(entry, this.#admission.clock.now())) return
    this.#admission.used--
    this.#admission.idle++
    this.#idle.push(entry)
  }

  replenish(): void {
    if (this.#ways.isSynchronous) return
    const admission = this.#admission
    // One that nobody wanted any more is there for the next.
    while (
      admission.lifecycle === "open" &&
      admission.live < admission.max &&
      admission.demanding > admission.creating + admission.idle
    ) {
      this.#supply.make({
        created: (value, scope, now, took) => {
          const entry = this.#enter(value, scope, now, took)
          const { creating, idle, lifecycle, max, used } = admission
          if (lifecycle === "draining" || lifecycle === "closed") this.#destroy(entry, "closed")
          else if (idle + used + creating > max) this.#destroy(entry, "shrink")
          else this.#lieIdle(entry)
        },
        failed: (cause) => {
          if (!admission.failFirst(Effect.failCause(cause))) admission.warn("An item could not be made", cause)
        }
      })
    }
  }

  #destroy(entry: Entry, reason: PoolEvent.DestroyReason): void {
    const place = this.#idle.indexOf(entry)
    if (place === -1) this.#admission.used--
    else {
      this.#idle.splice(place, 1)
      this.#admission.idle--
    }
    this.#entries.delete(entry)
    this.#supply.end(entry, reason)
  }

  invalidate(value: Item): void {
    for (const entry of Array.from(this.#entries)) {
      if (entry.value !== value) continue
      entry.isInvalid = true
      if (entry.holder === undefined) this.#destroy(entry, "invalidated")
    }
  }

  resized(): void {
    const admission = this.#admission
    while (this.#idle.length > 0 && admission.idle + admission.used + admission.creating > admission.max) {
      this.#destroy(this.#idle[0]!, "shrink")
    }
  }

  shutdown(): void {
    for (const entry of Array.from(this.#idle)) this.#destroy(entry, "closed")
    this.#supply.stop()
  }

  abandon(): void {
    for (const entry of Array.from(this.#entries)) this.#destroy(entry, "closed")
  }

  refusal(): Effect.Effect<never, GateFailure> | undefined {
    const failure = this.#failure
    this.#failure = undefined
    return failure
  }

  *leases(): Generator<Lease.Lease<Item>, void> {
    for (const { holder } of this.#entries) if (holder !== undefined) yield holder
  }

  turnedAway(): void {}
  mayOffer(): boolean {
    return false
  }
  timeoutFailure(): undefined {}
  lastCreateFailure(): string | undefined {
    const { lastFailure } = this.#supply
    return lastFailure === undefined ? undefined : Observer.inWords(lastFailure)
  }
  details(): Record<string, never> {
    return {}
  }
}

const poor = {
  minimum: "items are made on demand",
  creationLimit: "as many items are made as callers ask for",
  retries: "a creation that fails is the failure of the caller",
  validation: "items are handed out as they are",
  reset: "items are handed out as they are",
  checks: "nobody looks at items that lie idle",
  sharing: "an item has one holder"
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
        (settings) =>
          Pool.open({
            kind: ways.kind,
            settings,
            closeGrace: settings.closeGrace,
            store: (admission: Admission.Admission<Item, GateFailure>) => new PlainStore(ways, admission, settings)
          })
      ).pipe(
        // Not even the run loop comes in between where an item is made in the caller's own step.
        ways.isSynchronous ? Effect.provideService(Scheduler.MaxOpsBeforeYield, Infinity) : identity
      ),
    item: (value) => value,
    lacks: {
      ...poor,
      ...(ways.reuses ? {} : { reuse: "each lease has an item of its own" }),
      ...(ways.isSynchronous ? { time: "items are made in the caller's own step" } : {}),
      ...(ways.waits ? {} : { waiting: "callers are served at once or not at all" })
    }
  })

/** As plugin instances are pooled: never the same one twice. */
export const fresh = subjectOf({ kind: "fresh", reuses: false, isSynchronous: false, waits: true })
/** As scratch memory is pooled: allocated on the spot. */
export const synchronous = subjectOf({ kind: "synchronous", reuses: true, isSynchronous: true, waits: true })
/** As slots are pooled: there is one or there is none. */
export const nonBlocking = subjectOf({ kind: "non-blocking", reuses: true, isSynchronous: true, waits: false })
