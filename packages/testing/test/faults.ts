/** What a pool can get wrong: each is done to a sound test pool from outside, once it is open. */
import { type Pool, type PoolEvent, PoolRegistry } from "@effect-pools/core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Metric from "effect/Metric"
import type { GateFailure, Item } from "../src/Gates.ts"
import type * as Subject from "../src/Subject.ts"
import { subject } from "./subject.ts"

type TestedPool = Pool.Pool<Item, GateFailure>

/** Runs in the pool's surroundings: its registry and its metrics are those of the sandbox. */
type Sabotage = (pool: TestedPool) => Effect.Effect<void> | void

const sabotaged = (sabotage: Sabotage): Subject.Subject<Item> => ({
  ...subject,
  make: (gates, settings) =>
    Effect.tap(subject.make(gates, settings), (pool) => {
      const effect = sabotage(pool)
      return effect ?? Effect.void
    })
})

/** Replaces a method; the replacement is given the method that was there. */
const replace = <T extends object, K extends keyof T>(target: T, key: K, f: (was: T[K]) => T[K]): void => {
  const was = target[key] as unknown as (...args: ReadonlyArray<unknown>) => unknown
  target[key] = f(was.bind(target) as never)
}

const silence = (pool: TestedPool, tag: string): void =>
  replace(pool.admission.observer, "tell", (tell) => (event) => {
    if (event._tag !== tag) tell(event)
  })

/** Tells events of one kind in another way. */
const retell = <Tag extends PoolEvent.PoolEvent["_tag"]>(
  pool: TestedPool,
  tag: Tag,
  f: (event: Extract<PoolEvent.PoolEvent, { readonly _tag: Tag }>) => object
): void =>
  replace(pool.admission.observer, "tell", (tell) => (event) => {
    tell(event._tag === tag ? (Object.assign({}, event, f(event as never)) as never) : event)
  })

/** Has items that come back end for another reason. */
const comingBack = (pool: TestedPool, change: (entry: { isInvalid: boolean }) => void): void =>
  replace(pool.admission.store, "giveBack", (giveBack) => (entry, lease, exit, now) => {
    change(entry as unknown as { isInvalid: boolean })
    giveBack(entry, lease, exit, now)
  })

/** A count that always reads the same, whatever is added to it. */
const freeze = (target: object, key: string, value: number): void => {
  Object.defineProperty(target, key, { get: () => value, set: () => {} })
}

export interface Fault {
  /** The invariant that a case which catches it belongs to; a name, if it is another part of the contract. */
  readonly breaks: number | string
  /** The end of that case's name. */
  readonly foundBy: string
  readonly subject: Subject.Subject<Item>
}

const fault = (breaks: number | string, foundBy: string, sabotage: Sabotage): Fault => ({
  breaks,
  foundBy,
  subject: sabotaged(sabotage)
})

/** What comes back lies idle and is offered to nobody. */
const returnsToNobody = ({ admission }: TestedPool): void => {
  let isReturning = false
  replace(admission, "offer", (offer) => (entry, now) => !isReturning && offer(entry, now))
  replace(admission, "idled", (idled) => () => {
    if (!isReturning) idled()
  })
  replace(admission.store, "giveBack", (giveBack) => (entry, lease, exit, now) => {
    isReturning = true
    giveBack(entry, lease, exit, now)
    isReturning = false
  })
}

export const faults: Record<string, Fault> = {
  "makes one item more than max": fault(
    1,
    "a hundred callers at once never have more than max items",
    ({ admission }) => {
      admission.max++
    }
  ),

  "forgets that an item which is being destroyed has its place": fault(
    1,
    "an item that is being destroyed keeps its place until its finalizer has ended",
    ({ admission }) => {
      Object.defineProperty(admission, "live", { get: () => admission.idle + admission.used + admission.creating })
    }
  ),

  "takes no item away when max shrinks": fault(1, "a smaller max takes idle items away at once", ({ admission }) => {
    admission.store.resized = () => {}
  }),

  "gives an item back twice": fault(2, "use gives its item back once on success", ({ admission }) => {
    replace(admission.store, "giveBack", (giveBack) => (entry, lease, exit, now) => {
      giveBack(entry, lease, exit, now)
      giveBack(entry, lease, exit, now)
    })
  }),

  "destroys an item twice": {
    breaks: 2,
    foundBy: "every item is destroyed once, with one event and one count, when the pool closes",
    subject: {
      ...subject,
      make: (gates, settings) => {
        const twice = Object.assign(Object.create(gates) as typeof gates, {
          make: Effect.tap(gates.make, (item) => Effect.addFinalizer(() => Effect.sync(() => item.destroying++)))
        })
        return subject.make(twice, settings)
      }
    }
  },

  "keeps the item of a body that died": fault(2, "use gives its item back once on defect", ({ admission }) => {
    replace(admission, "giveBack", (giveBack) => (lease, exit) => {
      if (Exit.isSuccess(exit) || !Cause.hasDies(exit.cause)) giveBack(lease, exit)
    })
  }),

  "does not destroy what is idle when it closes": fault(
    2,
    "every item is destroyed once, with one event and one count, when the pool closes",
    ({ admission }) => {
      admission.store.shutdown = () => {
        admission.idle = 0
      }
      admission.store.abandon = () => {}
    }
  ),

  "does not hand a returned item to who waits": fault(3, "whoever waits is served when a lease ends", returnsToNobody),

  "resumes without serving anybody": fault(3, "resume serves everybody who queued", ({ admission }) => {
    let isResuming = false
    replace(admission, "serve", (serve) => () => {
      if (!isResuming) serve()
    })
    replace(admission, "resume", (resume) => () => {
      isResuming = true
      resume()
      isResuming = false
    })
  }),

  "does not look at who waits when max grows": fault(3, "a larger max serves waiters at once", ({ admission }) => {
    admission.resize = (min, max) => {
      admission.min = min
      admission.max = max
      admission.observer.emit({ _tag: "Resized", min, max })
      admission.store.resized()
    }
  }),

  "serves who came last": fault(4, "by priority, then first come first served", ({ admission }) => {
    admission.waiters.first = () => Array.from(admission.waiters).at(-1)
  }),

  "ignores priority": fault(4, "by priority, then first come first served", ({ admission }) => {
    replace(admission.waiters, "add", (add) => (waiter) => add(Object.assign(waiter, { priority: 0 })))
  }),

  "lets a newcomer overtake": fault(4, "a newcomer in the step in which a lease ends comes after who waits", (pool) => {
    const { admission } = pool
    // It is there for whoever asks in this moment.
    returnsToNobody(pool)
    replace(admission.store, "giveBack", (giveBack) => (entry, lease, exit, now) => {
      giveBack(entry, lease, exit, now)
      queueMicrotask(() => admission.serve())
    })
    replace(admission, "take", (take) => (lease) => {
      const { waiters } = admission
      Object.assign(admission, { waiters: { size: 0 } })
      const isTaken = take(lease)
      Object.assign(admission, { waiters })
      return isTaken
    })
  }),

  "fails who came last when an item cannot be made": fault(
    4,
    "a creation that fails is the failure of who waits longest",
    ({ admission }) => {
      replace(admission, "failFirst", (failFirst) => (failure, since) => {
        const others = Array.from(admission.waiters).slice(0, -1)
        for (const waiter of others) admission.waiters.remove(waiter)
        const isTold = failFirst(failure, since)
        for (const waiter of others) admission.waiters.add(waiter)
        return isTold
      })
    }
  ),

  "loses the place of a failed creation": fault(
    5,
    "create: fail: callers end, and every place can be had afterwards",
    ({ admission }) => {
      replace(admission, "failFirst", (failFirst) => (failure, since) => {
        admission.creating++
        return failFirst(failure, since)
      })
    }
  ),

  "loses the place of an item whose finalizer fails": fault(
    5,
    "destroy: fail: callers end, and every place can be had afterwards",
    ({ admission }) => {
      replace(admission.observer, "emit", (emit) => (event) => {
        emit(event)
        if (event._tag === "BackgroundFailure") admission.destroying++
      })
    }
  ),

  "keeps the place of a waiter that leaves": fault(
    5,
    "a waiter that leaves the queue keeps no place",
    ({ admission }) => {
      admission.leave = () => {}
    }
  ),

  "hands out nothing while an item is being destroyed": fault(
    6,
    "a finalizer that goes hang holds up neither its caller nor others",
    ({ admission }) => {
      replace(
        admission.store,
        "take",
        (take) => (now, lease) => (admission.destroying > 0 ? undefined : take(now, lease))
      )
      replace(admission.store, "replenish", (replenish) => () => {
        if (admission.destroying === 0) replenish()
      })
    }
  ),

  "makes one item at a time": fault(
    6,
    "a creation that goes hang holds nobody up for whom there is another",
    ({ admission }) => {
      replace(admission.store, "replenish", (replenish) => () => {
        if (admission.creating === 0) {
          const { max } = admission
          admission.max = Math.min(max, admission.live + 1)
          replenish()
          admission.max = max
        }
      })
    }
  ),

  "hands out what was invalidated": fault(
    7,
    "an item that is invalidated in use is not handed out again",
    ({ admission }) => {
      admission.store.invalidate = () => {}
    }
  ),

  "destroys an invalidated item under its holder": fault(
    7,
    "an item that is invalidated in use is not handed out again",
    ({ admission }) => {
      admission.store.invalidate = () => admission.store.abandon()
    }
  ),

  "hands an item to two callers": fault(7, "an item is in one hand at a time", ({ admission }) => {
    replace(admission.store, "take", (take) => (now, lease) => {
      const entry = take(now, lease) ?? Array.from(admission.store.leases(), (lease) => lease.entry)[0]
      if (entry?.holder !== undefined) admission.used++
      return entry
    })
  }),

  "counts the deadline from the end of the queue": fault(
    8,
    "waiting for a turn counts, to the millisecond",
    ({ admission }) => {
      Object.defineProperty(admission, "acquireTimeout", { value: admission.acquireTimeout * 2 })
    }
  ),

  "holds deadlines while suspended": fault(8, "they run while the pool is suspended", ({ admission }) => {
    replace(admission.waiters, "add", (add) => (waiter) => {
      if (admission.lifecycle === "suspended") waiter.deadline = Infinity
      add(waiter)
    })
  }),

  "knows no deadline of a call that has a priority": fault(
    8,
    "a call's own replaces the pool's, shorter or longer",
    ({ admission }) => {
      replace(admission, "wait", (wait) => (lease) => {
        const { options } = lease.request
        if (options?.priority) Object.assign(options, { timeout: undefined })
        return wait(lease)
      })
    }
  ),

  "forgets a waiter when it closes": fault(
    9,
    "waiters fail with Closed at once, and are not interrupted",
    ({ admission }) => {
      replace(admission, "failWaiters", (failWaiters) => (answer, outcome) => {
        const last = Array.from(admission.waiters).at(-1)
        if (last !== undefined) admission.waiters.remove(last)
        failWaiters(answer, outcome)
      })
    }
  ),

  "interrupts those who wait when it closes": fault(
    9,
    "waiters fail with Closed at once, and are not interrupted",
    ({ admission }) => {
      replace(admission, "failWaiters", (failWaiters) => (_, outcome) => failWaiters(() => Effect.interrupt, outcome))
    }
  ),

  "never tells that it has closed": fault(9, "a pool at rest closes at once", (pool) => silence(pool, "Closed")),

  "stays in the registry": fault(9, "a pool at rest closes at once", () =>
    Effect.map(PoolRegistry.PoolRegistry, (registry) => {
      Object.assign(registry, { releaseUnsafe: () => {} })
    })
  ),

  "leaves its metrics behind": fault(9, "a pool at rest closes at once", () =>
    Effect.map(Metric.MetricRegistry, (metrics) => {
      metrics.delete = () => false
    })
  ),

  "leaves a fiber behind": fault(9, "a pool at rest closes at once", ({ admission }) => {
    admission.background.fork(Effect.uninterruptible(Effect.never))
  }),

  "leaves a timer behind": fault(9, "a pool at rest closes at once", ({ admission }) => {
    admission.background.fork(Effect.uninterruptible(Effect.sleep("365 days")))
  }),

  "lets callers in while it drains": fault(
    9,
    "drain refuses callers, waits for leases, then closes",
    ({ admission }) => {
      admission.drain = () => Effect.sync(() => admission.observer.emit({ _tag: "Draining" }))
    }
  ),

  "closes before its leases have ended": fault(
    9,
    "drain refuses callers, waits for leases, then closes",
    ({ admission }) => {
      replace(admission, "drain", (drain) => () => drain(0))
    }
  ),

  "reads another clock": fault(10, "the times of leases are the clock's", ({ admission }) => {
    const began = Date.now()
    admission.clock.now = () => Date.now() - began
    admission.clock.wall = () => Date.now()
  }),

  "tries to make items without end": fault(11, "no attempt is made but for a caller", ({ admission }) => {
    replace(admission, "failFirst", (failFirst) => (failure, since) => {
      const { lease } = admission.waiters.first()!
      admission.background.after(1000, () => admission.store.turnedAway(lease))
      return failFirst(failure, since)
    })
  }),

  "makes an item for each caller that does not wait": fault(
    11,
    "callers that do not wait have one item made at a time",
    ({ admission }) => {
      replace(admission.store, "turnedAway", (turnedAway) => (lease) => {
        const { creating } = admission
        admission.creating = 0
        turnedAway(lease)
        admission.creating += creating
      })
    }
  ),

  "keeps min only at the start": fault(11, "min is filled again whenever its items are gone", ({ admission }) => {
    replace(admission.store, "replenish", (replenish) => () => {
      const { min, observer } = admission
      if (observer.created >= min) admission.min = 0
      replenish()
      admission.min = min
    })
  }),

  "makes an item for each free place": fault(
    11,
    "with capacity left, no more items are under creation than callers wait",
    ({ admission }) => {
      Object.defineProperty(admission, "demanding", { get: () => (admission.pending > 0 ? admission.max : 0) })
    }
  ),

  "tells no event of a finalizer that fails": fault(
    12,
    "a finalizer: fail: is told, and is nothing to the one who held the item",
    (pool) => silence(pool, "BackgroundFailure")
  ),

  "logs nothing": fault(
    12,
    "a finalizer: fail: is told, and is nothing to the one who held the item",
    ({ admission }) => {
      admission.warn = () => {}
    }
  ),

  "warns in another's name": fault(
    12,
    "a finalizer: fail: is told, and is nothing to the one who held the item",
    ({ admission }) => {
      replace(admission, "warn", (warn) => (message, cause) => warn(message.replace(/"[^"]*"/, '"other"'), cause))
    }
  ),

  "tells no event of a creation that fails": fault(
    12,
    "a creation: fail: is an event, a count, and the caller's failure",
    (pool) => silence(pool, "ItemCreateFailed")
  ),

  "serves while suspended": fault(
    "suspend",
    "holds new leases back and does not touch those that are out",
    ({ admission }) => {
      admission.suspend = () => admission.observer.emit({ _tag: "Suspended" })
    }
  ),

  "serves while suspended, when it is resized": fault(
    "resize",
    "serves nobody while the pool is suspended",
    ({ admission }) => {
      replace(admission, "resize", (resize) => (min, max) => {
        const { lifecycle } = admission
        admission.lifecycle = "open"
        resize(min, max)
        admission.lifecycle = lifecycle
      })
    }
  ),

  "is resized when it is closed": fault(
    "resize",
    "does nothing to a closed pool, and tells nothing",
    ({ admission }) => {
      replace(admission, "resize", (resize) => (min, max) => {
        const { lifecycle } = admission
        if (lifecycle === "closed") admission.lifecycle = "draining"
        resize(min, max)
        admission.lifecycle = lifecycle
      })
    }
  ),

  "ends what was invalidated for another reason": fault(
    "events",
    "an item that is invalidated is destroyed for this reason",
    (pool) =>
      comingBack(pool, (entry) => {
        if (entry.isInvalid) pool.admission.max = 0
        entry.isInvalid = false
      })
  ),

  "ends what is too many for another reason": fault(
    "events",
    "an item that is too many after a resize is destroyed for this reason",
    (pool) =>
      comingBack(pool, (entry) => {
        if (pool.admission.live > pool.admission.max) entry.isInvalid = true
      })
  ),

  "ends what is in use as it closes for another reason": fault(
    "events",
    "items that are idle or in use as the pool closes are destroyed for this reason",
    (pool) =>
      comingBack(pool, (entry) => {
        if (pool.admission.lifecycle === "closed") entry.isInvalid = true
      })
  ),

  "tells another reason than it counts": fault(
    "events",
    "an item that is destroyed under its holder is destroyed for the reason that the pool closes",
    (pool) => retell(pool, "ItemDestroyed", () => ({ reason: "reclaimed" }))
  ),

  "does not tell that it makes an item": fault(
    "events",
    "tell of each attempt to make an item, before what becomes of it",
    (pool) => silence(pool, "ItemCreating")
  ),

  "does not tell how long a failed attempt took": fault(
    "events",
    "say how long a failed attempt took, and which in a row it was",
    (pool) => retell(pool, "ItemCreateFailed", () => ({ took: 0 }))
  ),

  "does not count failures in a row": fault(
    "events",
    "say how long a failed attempt took, and which in a row it was",
    (pool) => retell(pool, "ItemCreateFailed", () => ({ failures: 1 }))
  ),

  "counts failures over successes": fault(
    "events",
    "say how long a failed attempt took, and which in a row it was",
    (pool) => retell(pool, "ItemCreateFailed", () => ({ failures: pool.admission.observer.createFailed }))
  ),

  "does not tell how long those waited who were not served": fault(
    "events",
    "say how long those waited who were not served",
    (pool) => retell(pool, "WaitEnded", () => ({ waited: 0 }))
  ),

  "does not tell how many are in use as it closes": fault(
    "events",
    "say how many items are in use as the pool begins to close",
    (pool) => retell(pool, "Closing", () => ({ used: 0 }))
  ),

  "does not tell that it begins to close": fault(
    "events",
    "say how many items are in use as the pool begins to close",
    (pool) => silence(pool, "Closing")
  ),

  "does not tell where leases are taken": fault("events", "say where a lease was taken while that is noted", (pool) =>
    retell(pool, "LeaseAcquired", () => ({ takenAt: undefined }))
  ),

  "knows of no failed creation": fault(
    "PoolError",
    "AcquireTimeout says why the last creation failed, until one succeeds",
    ({ admission }) => {
      admission.store.lastCreateFailure = () => undefined
    }
  ),

  "remembers a failed creation for ever": fault(
    "PoolError",
    "AcquireTimeout says why the last creation failed, until one succeeds",
    ({ admission }) => {
      let last: string | undefined
      replace(admission.store, "lastCreateFailure", (lastCreateFailure) => () => (last = lastCreateFailure() ?? last))
    }
  ),

  "miscounts what it made": fault("stats", "agree with the events", ({ admission }) => {
    freeze(admission.observer, "createFailed", 7)
  }),

  "does not count those who are turned away": fault(
    "PoolError",
    "Exhausted says the max of the moment",
    ({ admission }) => {
      freeze(admission.observer, "exhausted", 0)
    }
  ),

  "answers QueueFull one too late": fault(
    "PoolError",
    "QueueFull says how many may wait, and a place that comes free can be taken",
    ({ admission }) => {
      Object.defineProperty(admission, "maxWaiters", { value: admission.maxWaiters + 1 })
    }
  )
}
