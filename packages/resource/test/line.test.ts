/** The line of waiters, against lists that are sorted anew each time. */
import { type Lease, Waiter } from "@effect-pools/core"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Place, TwoStageLine } from "../src/internal/line.ts"

type AnyWaiter = Waiter.Waiter<any>

const PLACES = 5

/** A line of five resources of weights 1 to 5, and which waiter is whose. */
const setUp = () => {
  const places = Array.from({ length: PLACES }, (_, n) => new Place(n + 1))
  const placeOf = new Map<AnyWaiter, Place>()
  const line = new TwoStageLine((waiter) => placeOf.get(waiter)!)
  const add = (which: number, priority = 0): AnyWaiter => {
    const waiter = new Waiter.Waiter<any>({} as Lease.Lease<any>, priority, Infinity, () => {})
    placeOf.set(waiter, places[which]!)
    line.add(waiter)
    return waiter
  }
  return { places, placeOf, line, add }
}

const Which = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: PLACES - 1 }))
const Command = Schema.Union([
  Schema.Struct({ _tag: Schema.tag("add"), which: Which, priority: Schema.Literals([0, 1, -1]) }),
  Schema.Struct({ _tag: Schema.tag("leave"), nth: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })) }),
  Schema.Struct({ _tag: Schema.tag("state"), which: Which, state: Schema.Literals(["busy", "idle", "released"]) }),
  Schema.Struct({ _tag: Schema.tag("room"), room: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 15 })) })
])

describe("a line in two stages", () => {
  it.effect.prop("knows who is next, who is ready, and what they need", [Schema.Array(Command)], ([commands]) =>
    Effect.sync(() => {
      const { add, line, placeOf, places } = setUp()
      const model: Array<AnyWaiter> = []
      const states = places.map(() => "released")
      let room = 0
      line.room = () => room
      for (const command of commands) {
        switch (command._tag) {
          case "add":
            model.push(add(command.which, command.priority))
            break
          case "leave": {
            const waiter = model[command.nth % Math.max(1, model.length)]
            if (waiter === undefined) break
            line.remove(waiter)
            model.splice(model.indexOf(waiter), 1)
            break
          }
          case "state": {
            const place = places[command.which]!
            states[command.which] = command.state
            place.isFree = command.state !== "busy"
            place.needs = command.state === "idle" ? 0 : command.which + 1
            line.changed(place)
            break
          }
          case "room":
            room = command.room
        }
        // Sorting is stable: among equals those who came first come first.
        const sorted = model.toSorted((one, other) =>
          one.priority === other.priority ? 0 : other.priority - one.priority
        )
        const firsts = sorted.filter(
          (waiter, at) => sorted.findIndex((other) => placeOf.get(other) === placeOf.get(waiter)) === at
        )
        const ready = firsts.filter((waiter) => placeOf.get(waiter)!.isFree)
        const needs = ready.map((waiter) => placeOf.get(waiter)!.needs)
        const wanted = needs.reduce((sum, it) => sum + it, 0)
        const takeable = needs.filter((it) => it === 0).length
        expect(line.size).toBe(model.length)
        expect(Array.from(line)).toEqual(model)
        expect(Array.from(line.inOrder())).toEqual(ready)
        expect(line.first()).toBe(ready[0])
        expect(line).toMatchObject({ wanted, takeable, isShort: wanted > room })
        expect(line.ready).toBe(takeable > 0 || wanted > room ? ready.length : 0)
        for (const waiter of firsts) expect(line.isNext(waiter)).toBe(ready.every((other) => before(waiter, other)))
      }
    })
  )

  it("keeps those of one resource behind each other, and of all the first before the rest", () => {
    const { add, line, places } = setUp()
    const first = add(0)
    const second = add(0)
    const other = add(1)
    const urgent = add(1, 1)
    expect(Array.from(line.inOrder())).toEqual([urgent, first])
    line.remove(urgent)
    expect(Array.from(line.inOrder())).toEqual([first, other])
    places[0]!.isFree = false
    line.changed(places[0]!)
    line.remove(first)
    expect(Array.from(line.inOrder())).toEqual([other])
    places[0]!.isFree = true
    line.changed(places[0]!)
    expect(Array.from(line.inOrder())).toEqual([second, other])
  })
})

const before = (one: AnyWaiter, other: AnyWaiter) =>
  one === other ? false : one.priority === other.priority ? one.order < other.order : one.priority > other.priority
