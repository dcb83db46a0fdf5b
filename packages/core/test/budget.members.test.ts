/** What a budget says to its members, one by one: members here are plain objects, whose items end when the test says so. */
import { Budget } from "@effect-pools/core"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

interface Given {
  readonly minimum?: number
  readonly weight?: number
}

/** A member whose idle items have the ages that it is given, and which notes what it is told. */
class Fake {
  readonly seat: Budget.Membership
  readonly weight: number
  readonly told: Array<string> = []
  idleSince: Array<number> = []
  now = 0
  /** What it does when it hears of something. */
  on: Partial<Record<"granted" | "freed" | "reclaim", () => void>> = {}

  constructor(budget: Budget.Budget, name: string, { minimum = 0, weight = 1 }: Given = {}) {
    const hear = (what: "granted" | "freed" | "reclaim") => {
      this.told.push(what)
      this.on[what]?.()
    }
    this.weight = weight
    this.seat = budget.join({
      name,
      minimum,
      weight,
      now: () => this.now,
      idle: (most) => Math.min(this.idleSince.length, Math.floor(most / weight)) * weight,
      oldest: (most) =>
        this.idleSince.length === 0 || weight > most
          ? undefined
          : { since: Math.min(...this.idleSince), permits: weight },
      reclaim: () => {
        this.idleSince = this.idleSince.toSorted((a, b) => a - b).slice(1)
        hear("reclaim")
      },
      granted: () => hear("granted"),
      freed: () => hear("freed"),
      closed: () => this.told.push("closed")
    })
  }

  take(urgency: Budget.Urgency): boolean {
    return this.seat.take(urgency, this.weight)
  }

  give(): void {
    this.seat.give(this.weight)
  }

  isWithinReach(): boolean {
    return this.seat.isWithinReach(this.weight)
  }

  /** Takes so many items that then lie idle since this time. */
  fill(count: number, since = 0): this {
    for (let n = 0; n < count; n++) {
      assert.isTrue(this.take("now"))
      this.idleSince.push(since)
    }
    return this
  }

  /** Takes an item that stays in use. */
  use(count = 1): this {
    for (let n = 0; n < count; n++) assert.isTrue(this.take("now"))
    return this
  }
}

const given = <A>(max: number, f: (join: (name: string, given?: Given) => Fake, budget: Budget.Budget) => A) =>
  Effect.gen(function* () {
    const budget = yield* Budget.make({ max })
    return f((name, options) => new Fake(budget, name, options), budget)
  })

const taken = (budget: Budget.Budget) => budget.statsUnsafe().members.map((member) => member.taken)

describe("a member that does not wait", () => {
  it.effect("has idle items given up before others get what comes of it", () =>
    given(2, (join, budget) => {
      const [rich, asks, other, watches] = [join("rich"), join("asks"), join("other"), join("watches")]
      rich.fill(2)
      assert.isFalse(watches.take("ahead"))
      watches.on.freed = () => watches.take("ahead")
      rich.on.reclaim = () => {
        // In the middle of it somebody else does not wait either.
        assert.isFalse(other.take("now"))
        rich.give()
      }
      assert.isTrue(asks.take("now"))
      assert.deepStrictEqual(taken(budget), [1, 1, 0, 0])
      assert.deepStrictEqual(watches.told, [])
    })
  )

  it.effect("has nothing when what is given up for it takes its time to end", () =>
    given(1, (join, budget) => {
      const [rich, asks] = [join("rich").fill(1), join("asks")]
      assert.isFalse(asks.take("now"))
      assert.deepStrictEqual(rich.told, ["reclaim"])
      assert.deepStrictEqual(taken(budget), [1, 0])
    })
  )

  it.effect("leaves to others what was not enough for it", () =>
    given(2, (join, budget) => {
      const [rich, asks, watches] = [join("rich").fill(2), join("asks", { weight: 2 }), join("watches")]
      watches.take("ahead")
      watches.on.freed = () => watches.take("ahead")
      // The first ends at once, the second does not.
      rich.on.reclaim = () => {
        if (rich.told.length === 1) rich.give()
      }
      assert.isFalse(asks.take("now"))
      assert.deepStrictEqual(taken(budget), [1, 0, 1])
    })
  )

  it.effect("comes after those who get in line while items are given up for it", () =>
    given(1, (join) => {
      const [rich, asks, waits] = [join("rich").fill(1), join("asks"), join("waits")]
      rich.on.reclaim = () => {
        waits.take("line")
        rich.give()
      }
      assert.isFalse(asks.take("now"))
      assert.deepStrictEqual(waits.told, ["granted"])
    })
  )

  it.effect("is not asked for its own items, though they have been idle for longest", () =>
    given(2, (join) => {
      const [asks, other] = [join("asks").fill(1, 0), join("other").fill(1, 10)]
      asks.take("now")
      assert.deepStrictEqual([asks.told, other.told], [[], ["reclaim"]])
    })
  )
})

describe("a member that takes for nobody in particular", () => {
  it.effect("is told once when there may be something for it, not when there is nothing", () =>
    given(2, (join) => {
      const [one, other, watches] = [join("one").use(), join("other").use(), join("watches")]
      watches.take("ahead")
      other.take("line")
      other.seat.withdraw()
      assert.deepStrictEqual(watches.told, [])
      one.give()
      assert.deepStrictEqual(watches.told, ["freed"])
      other.give()
      assert.deepStrictEqual(watches.told, ["freed"])
    })
  )

  it.effect("is told also if it asked while others gave something up", () =>
    given(1, (join) => {
      const [rich, asks, watches] = [join("rich").fill(1), join("asks"), join("watches")]
      rich.on.reclaim = () => {
        assert.isFalse(watches.take("ahead"))
        rich.give()
      }
      assert.isTrue(asks.take("now"))
      assert.deepStrictEqual(watches.told, [])
      asks.give()
      assert.deepStrictEqual(watches.told, ["freed"])
    })
  )

  it.effect("is told nothing when it has left", () =>
    given(1, (join) => {
      const [holder, watches] = [join("holder").use(), join("watches")]
      watches.take("ahead")
      watches.seat.leave()
      holder.give()
      assert.deepStrictEqual(watches.told, [])
    })
  )
})

describe("those in line", () => {
  it.effect("are passed by whoever takes what is its own by its minimum", () =>
    given(2, (join) => {
      const [own, holder, waits] = [join("own", { minimum: 1 }), join("holder").use(), join("waits")]
      waits.take("line")
      assert.isTrue(own.take("now"))
      assert.isFalse(own.take("now"))
      holder.give()
      assert.deepStrictEqual(waits.told, ["granted"])
    })
  )

  it.effect("leave it when they take their own while another one is served", () =>
    given(2, (join, budget) => {
      const holder = join("holder", { weight: 2 }).use()
      const [first, own] = [join("first"), join("own", { minimum: 1 })]
      first.on.granted = () => assert.isTrue(own.take("now"))
      first.take("line")
      own.take("line")
      assert.deepInclude(budget.statsUnsafe(), { inLine: 2 })
      assert.deepStrictEqual(
        budget.statsUnsafe().members.map(({ waits }) => waits),
        [false, true, true]
      )
      holder.give()
      assert.deepInclude(budget.statsUnsafe(), { free: 0, inLine: 0 })
      assert.deepStrictEqual(own.told, [])
    })
  )

  it.effect("go on when the first withdraws or leaves", () =>
    given(3, (join, budget) => {
      for (const leaves of [false, true]) {
        const holder = join("holder").use(2)
        const [first, next] = [join("first", { weight: 3 }), join("next")]
        first.take("line")
        next.take("line")
        assert.deepStrictEqual(next.told, [])
        if (leaves) first.seat.leave()
        else first.seat.withdraw()
        assert.deepStrictEqual(next.told, ["granted"])
        assert.strictEqual(budget.statsUnsafe().inLine, 0)
        for (let n = 0; n < 2; n++) holder.give()
        next.give()
        assert.deepStrictEqual(first.told, [])
      }
    })
  )

  it.effect("get what is theirs by a minimum, all of them, past a first who could not have it", () =>
    given(2, (join, budget) => {
      const holder = join("holder", { weight: 2 }).use()
      const [first, ...own] = [join("first"), join("own", { minimum: 1 }), join("own", { minimum: 1 })]
      for (const member of [first, ...own]) member.take("line")
      holder.give()
      assert.deepStrictEqual(
        [first, ...own].map(({ told }) => told),
        [[], ["granted"], ["granted"]]
      )
      assert.deepInclude(budget.statsUnsafe(), { free: 0, inLine: 1 })
    })
  )

  it.effect("have as much given up as they lack, and no more", () =>
    given(4, (join) => {
      const rich = join("rich").fill(3)
      join("large", { weight: 3 }).take("line")
      assert.lengthOf(rich.told, 2)
    })
  )

  it.effect("have given up for them what others are promised, too", () =>
    given(3, (join) => {
      const rich = join("rich").fill(2)
      join("promised", { minimum: 1 })
      join("large", { weight: 2 }).take("line")
      assert.lengthOf(rich.told, 2)
    })
  )

  it.effect("have no more given up because they have a minimum themselves", () =>
    given(2, (join) => {
      const rich = join("rich").fill(2)
      join("late", { minimum: 1 }).take("line")
      assert.lengthOf(rich.told, 1)
    })
  )

  it.effect("have nobody give up what is its minimum, with what is on its way back counted", () =>
    given(3, (join) => {
      const rich = join("rich", { minimum: 1 }).fill(2)
      join("holder").use()
      join("large", { weight: 2 }).take("line")
      assert.lengthOf(rich.told, 1)
    })
  )

  it.effect("can be many that give back at once, without growing the stack", () =>
    given(1, (join, budget) => {
      const holder = join("holder").use()
      const all = Array.from({ length: 3000 }, () => join("one"))
      for (const one of all) {
        one.on.granted = () => one.give()
        one.take("line")
      }
      holder.give()
      assert.isTrue(all.every(({ told }) => told.length === 1))
      assert.deepInclude(budget.statsUnsafe(), { free: 1, inLine: 0 })
    })
  )
})

describe("a minimum", () => {
  it.effect("is others' when its member leaves, or has retired and gives back what it has", () =>
    given(2, (join, budget) => {
      const leaves = join("leaves", { minimum: 2 })
      const other = join("other")
      assert.isFalse(other.take("now"))
      leaves.seat.leave()
      other.use(2)
      for (let n = 0; n < 2; n++) other.give()
      const retires = join("retires", { minimum: 2 }).use(2)
      retires.seat.retire()
      for (let n = 0; n < 2; n++) retires.give()
      other.use(2)
      assert.deepStrictEqual(taken(budget), [2, 0])
    })
  )

  it.effect("bounds what comes back: giving more than was taken is a mistake", () =>
    given(2, (join) => {
      const member = join("member", { weight: 2 }).use()
      member.give()
      assert.throws(() => member.give(), /BUG: pool "member" gives back more than it has taken/)
    })
  )
})

describe("what is within reach", () => {
  it.effect("is one's own also while others wait, and nothing else then", () =>
    given(3, (join) => {
      join("holder").use()
      const [own, late, other] = [join("own", { minimum: 1 }), join("large", { weight: 3 }), join("other")]
      assert.isTrue(other.isWithinReach())
      late.take("line")
      assert.isTrue(own.isWithinReach())
      assert.isFalse(other.isWithinReach())
      own.use()
      assert.isFalse(own.isWithinReach())
    })
  )

  it.effect("is not what others took before one came who is promised it", () =>
    given(1, (join) => {
      join("holder").use()
      const [late, waits] = [join("late", { minimum: 1 }), join("waits")]
      waits.take("line")
      assert.isFalse(late.isWithinReach())
    })
  )

  it.effect("is what is on its way back, for the first in line", () =>
    given(1, (join) => {
      join("rich").fill(1)
      const waits = join("waits")
      waits.take("line")
      assert.isTrue(waits.isWithinReach())
    })
  )

  it.effect("is not what others are promised", () =>
    given(1, (join) => {
      join("promised", { minimum: 1 })
      assert.isFalse(join("other").isWithinReach())
    })
  )

  it.effect("is what others can give of what one is promised oneself", () =>
    given(1, (join) => {
      join("rich").fill(1)
      assert.isTrue(join("late", { minimum: 1 }).isWithinReach())
    })
  )

  it.effect("is not what one has idle oneself", () =>
    given(1, (join) => {
      assert.isFalse(join("rich").fill(1).isWithinReach())
    })
  )

  it.effect("is what lies idle beyond minimums, whole items of it", () =>
    given(4, (join) => {
      join("rich", { minimum: 2, weight: 2 }).fill(2)
      assert.isTrue(join("fits", { weight: 2 }).isWithinReach())
      assert.isFalse(join("large", { weight: 3 }).isWithinReach())
    })
  )

  it.effect("is all that lies idle where there is no minimum", () =>
    given(4, (join) => {
      join("rich", { weight: 2 }).fill(2)
      assert.isTrue(join("large", { weight: 3 }).isWithinReach())
    })
  )

  it.effect("is not what its member keeps when an item of it is on its way back", () =>
    given(3, (join) => {
      join("rich", { minimum: 2 }).fill(3)
      const first = join("first")
      assert.isFalse(first.take("now"))
      assert.isTrue(first.isWithinReach())
      assert.isFalse(join("large", { weight: 2 }).isWithinReach())
    })
  )
})

describe("an item that comes back", () => {
  it.effect("is owed to the first in line if that one has waited longer than its own member's caller", () =>
    given(1, (join) => {
      const [holder, waits] = [join("holder").use(), join("waits")]
      assert.isFalse(holder.seat.isOwed(100, 1))
      waits.now = 50
      waits.take("line")
      assert.deepStrictEqual(
        [49, 50, 51].map((since) => holder.seat.isOwed(since, 1)),
        [false, false, true]
      )
    })
  )

  it.effect("is not owed to its own member", () =>
    given(1, (join) => {
      const holder = join("holder").use()
      holder.take("line")
      assert.isFalse(holder.seat.isOwed(100, 1))
    })
  )
})

it.effect("a budget that has closed has nobody in line, and nothing within reach", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const budget = yield* Scope.provide(Budget.make({ max: 2 }), scope)
    const [holder, waits] = [new Fake(budget, "holder").use(2), new Fake(budget, "waits")]
    waits.take("line")
    yield* Scope.close(scope, Exit.void)
    assert.strictEqual(budget.statsUnsafe().inLine, 0)
    holder.give()
    assert.deepStrictEqual(waits.told, ["closed"])
    assert.isTrue(waits.seat.isClosed)
    assert.isFalse(waits.isWithinReach())
  })
)
