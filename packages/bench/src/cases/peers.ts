import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { EventEmitter } from "node:events"
import genericPool from "generic-pool"
import { Pool as LightningPool } from "lightning-pool"
import type { Client } from "pg"
import PgPool from "pg-pool"
import { Pool as TarnPool } from "tarn"
import { makeWaitFloor } from "../floors.ts"
import type { Case, Contender } from "../harness.ts"
import { inManyFibers, inOneFiber, inPromises } from "../loops.ts"
import { type Item, makeOurs, SIZE } from "../pools.ts"
import type { Effort } from "../settings.ts"

/** What pools of promises have in common. */
interface Peer<in out I = any> {
  readonly acquire: () => Promise<I>
  readonly release: (item: I) => unknown
  readonly close: () => Promise<unknown>
}

const counting = (): (() => Item) => {
  let made = 0
  return () => ({ id: ++made })
}

/** What `pg-pool` asks of a client. A real one tells of its errors too. */
class FakeClient extends EventEmitter {
  readonly _queryable = true
  readonly _ending = false

  connect(done: () => void): void {
    queueMicrotask(done)
  }

  end(done: () => void): void {
    queueMicrotask(done)
  }
}

/** With ten items, and no more than their defaults. */
const peers: Record<string, () => Peer> = {
  "generic-pool": () => {
    const make = counting()
    const pool = genericPool.createPool<Item>(
      { create: () => Promise.resolve(make()), destroy: () => Promise.resolve() },
      { min: SIZE, max: SIZE }
    )
    return {
      // Typed as a mere thenable; a function around it would cost another promise.
      acquire: () => pool.acquire() as Promise<Item>,
      release: (item) => pool.release(item),
      close: async () => {
        await pool.drain()
        await pool.clear()
      }
    }
  },
  tarn: () => {
    const make = counting()
    const pool = new TarnPool<Item>({ create: () => make(), destroy: () => {}, min: SIZE, max: SIZE })
    return { acquire: () => pool.acquire().promise, release: (item) => pool.release(item), close: () => pool.destroy() }
  },
  "lightning-pool": () => {
    const make = counting()
    const pool = new LightningPool<Item>(
      { create: () => Promise.resolve(make()), destroy: () => Promise.resolve() },
      // By default it refuses whoever comes after a thousand.
      { min: SIZE, max: SIZE, maxQueue: Infinity }
    )
    pool.start()
    return {
      acquire: () => pool.acquire(),
      release: (item) => pool.release(item),
      close: () => Promise.resolve(pool.close(true))
    }
  },
  "pg-pool": () => {
    const pool = new PgPool({ Client: FakeClient as unknown as new () => Client, min: SIZE, max: SIZE })
    return { acquire: () => pool.connect(), release: (client) => client.release(), close: () => pool.end() }
  }
}

const settled = Promise.resolve()

const lease = (peer: Peer) => async (): Promise<void> => {
  const item = await peer.acquire()
  peer.release(item)
}

const leaseThatYields = (peer: Peer) => async (): Promise<void> => {
  const item = await peer.acquire()
  await settled
  peer.release(item)
}

/** All ten items at once, so that all are made. */
const fill = async (peer: Peer): Promise<void> => {
  const items = await Promise.all(Array.from({ length: SIZE }, () => peer.acquire()))
  for (const item of items) await peer.release(item)
}

/** Waits as plain code does: for a promise that is settled. */
const awaited = Effect.promise(() => settled)

/** What a fiber cannot be spared that has to wait in line before: to be woken, from a microtask. */
const wakingFirst = makeWaitFloor(awaited)

/** The pools of other libraries, which lend by promises. */
export const makePeers = Effect.fnUntraced(function* ({
  isQuick
}: Effort): Effect.fn.Return<ReadonlyArray<Case>, unknown, Scope.Scope> {
  const ours = yield* makeOurs()
  const opened: Record<string, Peer> = {}
  for (const [name, open] of Object.entries(peers)) {
    const peer = yield* Effect.acquireRelease(Effect.sync(open), ({ close }) => Effect.promise(close))
    yield* Effect.promise(() => fill(peer))
    opened[name] = peer
  }
  const named = Object.entries(opened)
  const against = (name: string, goal: number | undefined) =>
    named.map(([peer]) => ({
      name,
      against: peer,
      goal: peer === "pg-pool" ? undefined : goal,
      because: "[decision 3](../decisions/0003-the-shape-of-a-lease.md)"
    }))
  const contended = (fibers: number): Case => {
    const yields = "ConnectionPool.use, its holder yields"
    const awaits = "ConnectionPool.use, its holder awaits a promise"
    const onlyYields = "no pool: a fiber yields"
    const onlyYieldsInTens = `no pool: a fiber yields, ${SIZE} at a time`
    const onlyAwaits = "no pool: a fiber awaits a promise"
    const wokenAndAwaits = "no pool: a fiber is woken, then awaits a promise"
    const goal = fibers === 10_000 ? 1 : undefined
    return {
      name: `peers-${fibers}`,
      title: `${fibers.toLocaleString("en")} callers on ${SIZE} items, against pools of promises`,
      method:
        "A lease on which its holder waits once. In plain code it awaits a promise that is settled, which takes a microtask;" +
        " a fiber does the same, or Effect.yieldNow, which takes a turn of the event loop, in which Effect's scheduler runs" +
        " all fibers that are ready. Without a pool: what waiting so takes by itself, and after waiting in line, which ends" +
        " with being woken from a microtask." +
        ` ${PLAIN} Who waits in line is limited by none.`,
      operations: isQuick ? 20_000 : 50_000,
      rounds: isQuick ? 3 : 21,
      contenders: [
        ...named.map(([name, peer]) => inPromises(name, fibers, leaseThatYields(peer))),
        inManyFibers(yields, fibers, () => ConnectionPool.use(ours, () => Effect.yieldNow)),
        inManyFibers(awaits, fibers, () => ConnectionPool.use(ours, () => awaited)),
        inPromises("no pool: plain code awaits a promise", fibers, () => settled),
        inManyFibers(onlyAwaits, fibers, () => awaited),
        inManyFibers(wokenAndAwaits, fibers, () => wakingFirst),
        inManyFibers(onlyYields, fibers, () => Effect.yieldNow),
        inManyFibers(onlyYieldsInTens, SIZE, () => Effect.yieldNow)
      ],
      comparisons: [
        ...against(yields, goal),
        ...against(awaits, goal),
        { name: yields, against: onlyYields },
        { name: yields, against: onlyYieldsInTens },
        { name: awaits, against: onlyAwaits },
        { name: awaits, against: wokenAndAwaits },
        { name: wokenAndAwaits, against: "generic-pool" }
      ]
    }
  }
  const body = Effect.succeed(undefined)
  return [
    {
      name: "peers-uncontended",
      title: "a lease, uncontended, against pools of promises",
      method: `One caller, ${SIZE} idle items: acquire, awaited, and release; and use, in a fiber. ${PLAIN}`,
      operations: isQuick ? 20_000 : 40_000,
      rounds: isQuick ? 11 : 101,
      contenders: [
        ...named.map(([name, peer]): Contender => inPromises(name, 1, lease(peer))),
        inOneFiber("ConnectionPool.use", () => ConnectionPool.use(ours, () => body))
      ],
      comparisons: against("ConnectionPool.use", 1)
    },
    ...[100, 1000, 10_000].map(contended)
  ]
})

const PLAIN =
  `Every pool has ${SIZE} items, at least and at most, and is as it is by default otherwise; lightning-pool's queue of 1,000` +
  " is made endless. pg-pool's clients are fakes; with a minimum of 0, its default, it would also set a timer at each release."
