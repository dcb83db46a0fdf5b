/** What the tests of the resource pool share. */
import { PoolError } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { Gates, Sandbox } from "@effect-pools/testing"
import { expect } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

export const { settle } = Sandbox

export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** What is allocated for a {@link Probe}. */
export interface Value {
  readonly of: Probe
  /** Counts the allocations of its resource, from 1. */
  readonly generation: number
}

/** What really happened to the resources of a pool, beside what the pool says. */
export class Book {
  /** Places that are taken by what is allocated, about to be, or being released. */
  taken = 0
  most = 0
  readonly faults: Array<string> = []
  /** Allocations and releases as they began and ended: "a+", "a", "a-", "a.". */
  readonly log: Array<string> = []
  /** Called when the release of a resource begins. */
  onRelease: ((probe: Probe) => void) | undefined = undefined

  change(by: number): void {
    this.taken += by
    this.most = Math.max(this.most, this.taken)
  }
}

/** A resource whose steps go through gates, and which notes what happens to it. */
export class Probe {
  readonly name: string
  readonly weight: number
  allocate: Gates.Gate = "ok"
  release: Gates.Gate = "ok"
  allocations = 0
  releases = 0
  state: "away" | "coming" | "here" | "going" = "away"
  /** The generations that bodies use now: more than one only if one was released under its holder. */
  readonly held = new Set<number>()
  resource!: Resource.Resource<Value, Gates.GateFailure>
  readonly book: Book

  constructor(book: Book, name: string, weight: number) {
    this.book = book
    this.name = name
    this.weight = weight
  }

  #expect(state: Probe["state"], what: string): void {
    if (this.state !== state) this.book.faults.push(`${this.name} is ${what} while it is ${this.state}`)
  }

  readonly onAllocate: Effect.Effect<Value, Gates.GateFailure> = Effect.suspend(() => {
    this.#expect("away", "allocated")
    this.state = "coming"
    this.book.change(this.weight)
    this.book.log.push(`${this.name}+`)
    return Effect.onExit(
      Effect.map(Gates.pass(this.allocate, "create"), (): Value => ({ of: this, generation: ++this.allocations })),
      (exit) =>
        Effect.sync(() => {
          this.book.log.push(Exit.isSuccess(exit) ? this.name : `${this.name}!`)
          this.state = Exit.isSuccess(exit) ? "here" : "away"
          if (Exit.isFailure(exit)) this.book.change(-this.weight)
        })
    )
  })

  /** The same as one effect, with its release, which can be interrupted. */
  readonly scoped: Effect.Effect<Value, Gates.GateFailure, Scope.Scope> = Effect.suspend(() => {
    const acquired = Effect.acquireRelease(this.onAllocate, (value) => Effect.orDie(this.onRelease(value)), {
      interruptible: true
    })
    return typeof this.allocate === "object" ? Effect.uninterruptible(acquired) : acquired
  })

  readonly onRelease = (value: Value): Effect.Effect<unknown, Gates.GateFailure> =>
    Effect.suspend(() => {
      this.#expect("here", "released")
      if (value.generation !== this.allocations) this.book.faults.push(`${this.name} is released as an older one`)
      this.state = "going"
      this.releases++
      this.book.log.push(`${this.name}-`)
      this.book.onRelease?.(this)
      return Effect.ensuring(
        Gates.pass(this.release, "destroy"),
        Effect.sync(() => {
          this.book.log.push(`${this.name}.`)
          this.state = "away"
          this.book.change(-this.weight)
        })
      )
    })

  /** A body that notes if it is not alone with its resource, or that is not there. */
  holding<A, E, R>(value: Value, body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      let isIn = false
      return Effect.onExit(
        Effect.suspend(() => {
          isIn = true
          this.#expect("here", "handed out")
          if (value.of !== this) this.book.faults.push(`${this.name} was handed out as ${value.of.name}`)
          if (value.generation !== this.allocations)
            this.book.faults.push(`${this.name} was handed out as it was before`)
          if (this.held.has(value.generation)) this.book.faults.push(`${this.name} is in two hands`)
          this.held.add(value.generation)
          return body
        }),
        () => Effect.sync(() => isIn && this.held.delete(value.generation))
      )
    })
  }

  /** A lease that ends at once, and answers with the generation. */
  use(options?: Resource.GetOptions) {
    const body = (value: Value) => this.holding(value, Effect.succeed(value.generation))
    return options === undefined ? Resource.use(this.resource, body) : Resource.use(this.resource, body, options)
  }

  /** Forks a lease that is held until `end`. */
  hold(options?: Resource.GetOptions) {
    return Effect.gen({ self: this }, function* () {
      const got: { value: Value | undefined } = { value: undefined }
      const end = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkDetach(
        Resource.use(
          this.resource,
          (value) =>
            this.holding(
              value,
              Effect.suspend(() => {
                got.value = value
                return Deferred.await(end)
              })
            ),
          options
        ),
        { startImmediately: true }
      )
      return { fiber, got, end: Effect.andThen(Deferred.succeed(end, undefined), Fiber.await(fiber)) }
    })
  }
}

export interface World extends Sandbox.Sandbox<ResourcePool.ResourcePool> {
  readonly book: Book
  readonly probe: (name: string, weight?: number, isScoped?: boolean) => Effect.Effect<Probe>
  readonly probes: (names: string) => Effect.Effect<Array<Probe>>
}

/** Opens a pool every trace of which can be looked at. */
export const open = Effect.fnUntraced(function* (options: ResourcePool.Options) {
  const made = yield* Sandbox.open(ResourcePool.make({ name: "test", ...options }))
  const book = new Book()
  const all: Array<Probe> = []
  const probe = (name: string, weight = 1, isScoped = false): Effect.Effect<Probe> =>
    Effect.gen(function* () {
      const it = new Probe(book, name, weight)
      it.resource = isScoped
        ? yield* ResourcePool.create(made.pool, { name, weight, allocate: it.scoped })
        : yield* ResourcePool.create(made.pool, { name, weight, allocate: it.onAllocate, release: it.onRelease })
      all.push(it)
      return it
    }).pipe(Effect.orDie)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      // What a test leaves stuck must not keep the pool from closing after it.
      for (const it of all) it.release = "ok"
      expect(book.faults).toEqual([])
    })
  )
  const probes = (names: string) => Effect.forEach(names.split(" "), (name) => probe(name))
  return { ...made, book, probe, probes } satisfies World
})

/** What a fiber has ended with so far: the reason of a `PoolError`, another failure, or its success. */
export const outcome = (fiber: Fiber.Fiber<unknown, unknown>): unknown => {
  const exit = fiber.pollUnsafe()
  return exit === undefined ? "waiting" : told(exit)
}

export const told = (exit: Exit.Exit<unknown, unknown>): unknown => {
  if (Exit.isSuccess(exit)) return exit.value
  const reason = exit.cause.reasons[0]
  if (reason?._tag !== "Fail") return reason?._tag
  return reason.error instanceof PoolError.PoolError ? reason.error.reason._tag : reason.error
}

export const counts = ({ pool: { admission, store } }: World) => ({
  idle: admission.idle,
  used: admission.used,
  creating: admission.creating,
  destroying: admission.destroying,
  pending: admission.pending,
  taken: store.details()!["taken"]
})

export const rest = { idle: 0, used: 0, creating: 0, destroying: 0, pending: 0, taken: 0 }

/** The names of the events so far, and what they are about. */
export const tags = ({ events }: World): Array<string> => events.map(({ _tag }) => _tag)
