import * as PriorityQueue from "@effect-pools/core/data/PriorityQueue"
import type * as Waiter from "@effect-pools/core/Waiter"
import { Heap, type Placed } from "./heap.ts"

type AnyWaiter = Waiter.Waiter<any>

/** Where callers of one resource wait for it. */
export class Place implements Placed {
  readonly waiters = new PriorityQueue.PriorityQueue<AnyWaiter>()
  /** Nobody has the resource, and nothing is being done with it: its first caller can be served, or have it allocated. */
  isFree = true
  /** How many places of the pool its first caller needs: none if it is allocated. */
  needs: number
  /** What is counted of that in the second line. */
  counted = 0
  place = -1

  constructor(needs: number) {
    this.needs = needs
  }
}

/**
 * Callers wait in two stages: for whoever has their resource to put it back, and then for a place in the pool. Of each
 * resource that is free the first caller stands in the second line, in the order of priority and arrival; those of the
 * others stand there as soon as theirs comes free, before all who came later.
 *
 * Who needs no place is in nobody's way there, as long as there are, or will be soon, places for all the others.
 */
export class TwoStageLine implements Waiter.Line<any> {
  readonly isUneven = true
  readonly #all = new Set<AnyWaiter>()
  readonly #heap = new Heap<Place>((one, other) => precedes(one.waiters.first()!, other.waiters.first()!))
  readonly #placeOf: (waiter: AnyWaiter) => Place
  #arrived = 0
  #wanted = 0
  #takeable = 0
  /** How many places are free, or will be soon. Set once, by the store. */
  room: () => number = () => 0

  constructor(placeOf: (waiter: AnyWaiter) => Place) {
    this.#placeOf = placeOf
  }

  get size(): number {
    return this.#all.size
  }

  get ready(): number {
    return this.#takeable === 0 && !this.isShort ? 0 : this.#heap.size
  }

  /** How many places those in the second stage need. */
  get wanted(): number {
    return this.#wanted
  }

  /** How many in the second stage need no place. */
  get takeable(): number {
    return this.#takeable
  }

  /** Whether those in the second stage need more places than there will be soon. */
  get isShort(): boolean {
    return this.#wanted > 0 && this.#wanted > this.room()
  }

  /** Those in the second stage, in order. The line must not change meanwhile. */
  *inOrder(): Generator<AnyWaiter, void> {
    for (const { waiters } of this.#heap.inOrder()) yield waiters.first()!
  }

  first(): AnyWaiter | undefined {
    return this.#heap.first?.waiters.first()
  }

  /** Whether nobody in the second stage comes before this one. */
  isNext(waiter: AnyWaiter): boolean {
    const first = this.first()
    return first === undefined || precedes(waiter, first)
  }

  add(waiter: AnyWaiter): void {
    waiter.order = ++this.#arrived
    this.#all.add(waiter)
    const place = this.#placeOf(waiter)
    place.waiters.add(waiter)
    this.changed(place)
  }

  remove(waiter: AnyWaiter): void {
    this.#all.delete(waiter)
    const place = this.#placeOf(waiter)
    place.waiters.remove(waiter)
    this.changed(place)
  }

  /** To be called when a place has become free, or not, or has another first waiter. */
  changed(place: Place): void {
    const isReady = place.isFree && place.waiters.size > 0
    const wasReady = place.place !== -1
    if (wasReady && place.counted === 0) this.#takeable--
    this.#wanted -= place.counted
    place.counted = isReady ? place.needs : 0
    this.#wanted += place.counted
    if (isReady && place.counted === 0) this.#takeable++
    if (!wasReady) {
      if (isReady) this.#heap.add(place)
    } else if (isReady) this.#heap.moved(place)
    else this.#heap.remove(place)
  }

  [Symbol.iterator](): Iterator<AnyWaiter> {
    return this.#all.values()
  }
}

const precedes = (one: AnyWaiter, other: AnyWaiter): boolean =>
  one.priority === other.priority ? one.order < other.order : one.priority > other.priority
