import { ConnectionPool } from "@effect-pools/connection"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import genericPool from "generic-pool"
import { Pool as LightningPool } from "lightning-pool"
import { Pool as TarnPool } from "tarn"
import type { Case, Contender } from "../harness.ts"
import { inManyFibers, inOneFiber, inPromises } from "../loops.ts"
import { type Item, makeOurs, SIZE } from "../pools.ts"
import type { Effort } from "../settings.ts"

/** What pools of promises have in common. */
interface Peer {
  readonly acquire: () => Promise<Item>
  readonly release: (item: Item) => unknown
  readonly close: () => Promise<unknown>
}

const counting = (): (() => Item) => {
  let made = 0
  return () => ({ id: ++made })
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
      acquire: async () => pool.acquire(),
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
  const against = (goal: number | undefined) =>
    named.map(([name]) => ({ name: "ConnectionPool.use", against: name, goal }))
  const contended = (fibers: number): Case => ({
    name: `peers-${fibers}`,
    title: `${fibers.toLocaleString("en")} callers on ${SIZE} items, against pools of promises`,
    method:
      "A lease on which its holder yields once: Effect.yieldNow in a fiber, an awaited promise in plain code, which" +
      " costs less.",
    operations: isQuick ? 20_000 : 50_000,
    rounds: isQuick ? 7 : 21,
    contenders: [
      ...named.map(([name, peer]) => inPromises(name, fibers, leaseThatYields(peer))),
      inManyFibers("ConnectionPool.use", fibers, () => ConnectionPool.use(ours, () => Effect.yieldNow))
    ],
    comparisons: against(fibers === 10_000 ? 1 : undefined)
  })
  const body = Effect.succeed(undefined)
  return [
    {
      name: "peers-uncontended",
      title: "a lease, uncontended, against pools of promises",
      method: `One caller, ${SIZE} idle items: acquire and release, awaited; and use, in a fiber.`,
      operations: isQuick ? 20_000 : 40_000,
      rounds: isQuick ? 21 : 101,
      contenders: [
        ...named.map(([name, peer]): Contender => inPromises(name, 1, lease(peer))),
        inOneFiber("ConnectionPool.use", () => ConnectionPool.use(ours, () => body))
      ],
      comparisons: against(1)
    },
    ...[100, 1000, 10_000].map(contended)
  ]
})
