import { InvalidOptions } from "@effect-pools/core"
import { Resource, ResourcePool } from "@effect-pools/resource"
import { type Gates, Subject } from "@effect-pools/testing"
import * as Effect from "effect/Effect"

type GatedResource = Resource.Resource<Gates.Item, Gates.GateFailure>

/**
 * Callers who do not care which resource they get: the one that was put back last, or else one that nobody uses, or waits
 * for; there are as many as it takes.
 */
class Cast {
  readonly #all: Array<GatedResource> = []
  /** What callers have picked and not asked for yet. */
  readonly #picked = new Set<GatedResource>()
  readonly #pool: ResourcePool.ResourcePool
  readonly #gates: Gates.Gates

  constructor(pool: ResourcePool.ResourcePool, gates: Gates.Gates) {
    this.#pool = pool
    this.#gates = gates
  }

  /** Has a caller have a resource of his own: `then` is told how to say that he has it. */
  readonly pick = <B, E, R>(
    then: (resource: GatedResource, has: () => void) => Effect.Effect<B, E, R>
  ): Effect.Effect<B, E | InvalidOptions.InvalidOptions, R> =>
    Effect.suspend(() => {
      let picked: GatedResource | undefined
      const has = () => void (picked !== undefined && this.#picked.delete(picked))
      const pick = (resource: GatedResource): GatedResource => {
        this.#picked.add((picked = resource))
        return resource
      }
      const found = this.#find()
      const resource =
        found === undefined
          ? Effect.map(ResourcePool.create(this.#pool, { allocate: this.#gates.make }), (made) => {
              this.#all.push(made)
              return pick(made)
            })
          : Effect.succeed(pick(found))
      return Effect.onExitPrimitive(
        Effect.flatMap(resource, (resource) => then(resource, has)),
        has as never
      )
    })

  #find(): GatedResource | undefined {
    const free = this.#all.filter((it) => it.holding.waiters.size === 0 && !this.#picked.has(it))
    const idle = free.filter(({ holding }) => holding.state === "idle")
    const last = idle.sort((a, b) => b.holding.allocation!.idleSince - a.holding.allocation!.idleSince)[0]
    return last ?? free.find(({ holding }) => holding.state === "released")
  }
}

const casts = new WeakMap<object, Cast>()

/** The resource pool, for the suites of `testing`. */
export const subject = Subject.make<Gates.Item>({
  kind: "resource",
  make: (
    gates,
    {
      concurrency: _sharers,
      createTimeout,
      destroyTimeout,
      max = 10,
      maxCreating: _limit,
      min: _min,
      steps: _steps,
      ...settings
    }
  ) =>
    ResourcePool.make({ ...settings, max, allocateTimeout: createTimeout, releaseTimeout: destroyTimeout }).pipe(
      Effect.tap((pool) => Effect.sync(() => casts.set(pool, new Cast(pool, gates)))),
      // What the suites call otherwise.
      Effect.mapError(({ field, pool, rule, value }) => {
        const known: Record<string, string> = { allocateTimeout: "createTimeout", releaseTimeout: "destroyTimeout" }
        return new InvalidOptions.InvalidOptions({ pool, field: known[field] ?? field, value, rule })
      })
    ),
  item: (item) => item,
  get: (pool, options) => casts.get(pool)!.pick((resource) => Resource.get(resource, options)),
  use: (pool, body, options) =>
    casts.get(pool)!.pick((resource, has) => {
      const having = (item: Gates.Item) => {
        has()
        return body(item)
      }
      return Resource.use(resource, having, options)
    }),
  lacks: {
    minimum: "resources are allocated when somebody gets them",
    creationLimit: "as many resources are allocated as there are places",
    retries: "a failure to allocate is that of the callers",
    validation: "a resource is what its holder has put back",
    reset: "a resource is what its holder has put back",
    checks: "nobody looks at resources that lie idle",
    sharing: "a resource has one holder"
  },
  apart: {
    "a caller waits for a resource of its own, not for whatever comes back": [
      "invariant 3 (no stranded waiter): a returned item serves whoever waits, though one is under creation for them",
      "invariant 4 (order): a waiter that is interrupted in the step that serves it passes its turn on",
      "invariant 6 (isolation): a creation that goes hang holds nobody up who gets a returned item",
      "invariant 6 (isolation): a creation that goes stuck holds nobody up who gets a returned item",
      "invariant 6 (isolation): a creation that goes 400 holds nobody up who gets a returned item"
    ],
    "its leases are on resources, not on the pool": [
      "use: takes the pool first or last, with and without options",
      "if available: an idle item is handed out",
      "if available: the failure of the body is the caller's, and its lease ends",
      "PoolError: a reason can be caught by its name",
      "InvalidOptions: a call refuses options that make no sense, and takes nothing"
    ],
    "who waits for a place is told that": ["PoolError: AcquireTimeout says how long it waited, and how the pool was"]
  }
})
