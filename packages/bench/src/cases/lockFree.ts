import { LockFreePool } from "@effect-pools/lock-free"
import * as Effect from "effect/Effect"
import * as Pool from "effect/Pool"
import type * as Scope from "effect/Scope"
import type { Case, Contender } from "../harness.ts"
import { fixed, inOneFiber } from "../loops.ts"
import type { Effort } from "../settings.ts"

interface Thing {
  uses: number
}

const create = (): Thing => ({ uses: 0 })
const reset = (thing: Thing): boolean => {
  thing.uses = 0
  return true
}

const ITEMS = 10
const body = Effect.succeed(undefined)
const useBody = () => body

/** What `rpool`, from which the pool is known, takes for the same in a program of its own, in nanoseconds. */
const ORIGINAL = 31

/** Turns of the event loop of this many leases: what is put off to the end of a turn is paid for as well. */
const TURN = 100

const inPlainCode = (name: string, leases: (count: number) => number): Contender => ({
  name,
  run: async (operations) => {
    let used = 0
    const start = performance.now()
    for (let done = 0; done < operations; done += TURN) {
      used += leases(TURN)
      await turn
    }
    const elapsed = performance.now() - start
    if (used !== operations) throw new Error(`${name}: ${used} of ${operations} leases had a clean item`)
    return elapsed
  }
})

const turn = Promise.resolve()

/** A stack and no more: nothing is counted, and nothing told apart that goes wrong. */
const bareStack = (count: number, stack: Array<Thing>): number => {
  let used = 0
  for (let n = 0; n < count; n++) {
    const thing = stack.pop()!
    used += ++thing.uses
    if (reset(thing)) stack.push(thing)
  }
  return used
}

class BareGuard {
  #thing: Thing | undefined
  readonly #stack: Array<Thing>

  constructor(thing: Thing, stack: Array<Thing>) {
    this.#thing = thing
    this.#stack = stack
  }

  get value(): Thing {
    return this.#thing!
  }

  dispose(): void {
    const thing = this.#thing!
    this.#thing = undefined
    if (reset(thing)) this.#stack.push(thing)
  }
}

const guardedStack = (count: number, stack: Array<Thing>): number => {
  let used = 0
  for (let n = 0; n < count; n++) {
    const guard = new BareGuard(stack.pop()!, stack)
    used += ++guard.value.uses
    guard.dispose()
  }
  return used
}

const guarded = (count: number, pool: LockFreePool.LockFreePool<Thing>): number => {
  let used = 0
  for (let n = 0; n < count; n++) {
    const guard = LockFreePool.getUnsafe(pool)!
    used += ++guard.value.uses
    guard[Symbol.dispose]()
  }
  return used
}

/** Leases in plain code against what they are made of, and in effects against Effect's own pool. */
export const makeLockFree = Effect.fnUntraced(function* ({
  isQuick
}: Effort): Effect.fn.Return<ReadonlyArray<Case>, unknown, Scope.Scope> {
  const things = () => Array.from({ length: ITEMS }, create)
  const [bare, withGuards] = [things(), things()]
  const pool = yield* LockFreePool.make({ create, reset, scale: { mode: "static", count: ITEMS } })
  const effects = yield* Pool.make({ acquire: Effect.sync(create), size: ITEMS })
  const plain: Case = {
    name: "lock-free-plain",
    title: "get and dispose, in plain code",
    method:
      `One thread, ${ITEMS} idle items, a reset of one assignment, turns of ${TURN} leases. "31 ns" is not run: it is what` +
      " the original takes elsewhere, to compare with.",
    operations: isQuick ? 100_000 : 500_000,
    rounds: isQuick ? 21 : 101,
    contenders: [
      inPlainCode("array pop + push", (count) => bareStack(count, bare)),
      inPlainCode("array pop + push, with a guard", (count) => guardedStack(count, withGuards)),
      inPlainCode("LockFreePool.getUnsafe", (count) => guarded(count, pool)),
      fixed("31 ns", ORIGINAL / 1e6)
    ],
    comparisons: [
      {
        name: "LockFreePool.getUnsafe",
        against: "31 ns",
        goal: 1,
        because: "[decision 15](../decisions/0015-leases-in-plain-code-keep-their-books.md)"
      },
      { name: "LockFreePool.getUnsafe", against: "array pop + push, with a guard" },
      { name: "LockFreePool.getUnsafe", against: "array pop + push" }
    ]
  }
  const uses = {
    "Pool.use": Pool.use(effects, useBody),
    "LockFreePool.use": LockFreePool.use(pool, useBody)
  }
  const used: Case = {
    name: "lock-free-use",
    title: "use of a lock-free pool",
    method: `One fiber, Effect.whileLoop, ${ITEMS} idle items, the effect is built once. Pool.use resets nothing.`,
    operations: isQuick ? 20_000 : 40_000,
    rounds: isQuick ? 21 : 151,
    overhead: "empty loop",
    contenders: [
      inOneFiber("empty loop", () => body),
      ...Object.entries(uses).map(([name, use]) => inOneFiber(name, () => use))
    ],
    comparisons: [{ name: "LockFreePool.use", against: "Pool.use", goal: 1 }]
  }
  return [plain, used]
})
