import type { PoolEvent } from "@effect-pools/core"

/** What the options of a pool promise, in milliseconds. */
export interface Promises {
  readonly min: number
  readonly max: number
  readonly maxLifetime: number
  readonly lifetimeJitter: number
  readonly idleTimeout: number
  /** Time between two checks of a connection that lies idle. */
  readonly checkInterval?: number
  /** Time that an idle connection may go without a sign of life. */
  readonly keepAlive?: number
  /** The longest that anybody holds a connection. */
  readonly hold: number
}

interface Life {
  readonly createdAt: number
  checkedAt: number
  provenAt: number
  releasedAt: number
  usedSinceCheck: boolean
}

/** Follows the events of a pool and notes whatever does not happen when the options say. */
export class Timekeeper {
  readonly wrong: Array<string> = []
  checks = 0
  /** How many checks there should have been of the connections that have gone. */
  expectedChecks = 0
  lifetimes = 0
  created = 0
  #sumOfLifetimes = 0
  readonly #promises: Promises
  readonly #lives = new Map<number, Life>()

  constructor(promises: Promises) {
    this.#promises = promises
  }

  get meanLifetime(): number {
    return this.#sumOfLifetimes / this.lifetimes
  }

  /** Counts the checks due so far of the connections that are there. */
  expectedUntil(now: number): number {
    let expected = this.expectedChecks
    for (const life of this.#lives.values()) expected += this.#due(now - life.createdAt)
    return expected
  }

  hear(event: PoolEvent.PoolEvent): void {
    const { at } = event
    if (event._tag === "ItemCreated") {
      this.created++
      this.#lives.set(event.item, {
        createdAt: at,
        checkedAt: at,
        provenAt: at,
        releasedAt: at,
        usedSinceCheck: false
      })
      return
    }
    // One that was there before the timekeeper came is not followed.
    const life = "item" in event ? this.#lives.get(event.item!) : undefined
    if (life === undefined) return
    switch (event._tag) {
      case "LeaseAcquired":
        life.usedSinceCheck = true
        return
      case "LeaseReleased":
        life.releasedAt = at
        life.provenAt = at
        return
      case "ItemHealth":
        return this.#checked(event.item, life, at)
      case "ItemDestroyed":
        this.#destroyed(event.item, life, event.reason, at)
        this.#lives.delete(event.item)
    }
  }

  /** Looks at the connections that lie idle. */
  look(now: number): void {
    const { checkInterval, keepAlive, maxLifetime } = this.#promises
    for (const [item, life] of this.#lives) {
      const age = now - life.createdAt
      if (age > maxLifetime) this.#note(item, now, `is ${age} ms old`)
      if (keepAlive !== undefined && now - life.provenAt > keepAlive) {
        this.#note(item, now, `gave no sign of life for ${now - life.provenAt} ms`)
      }
      if (checkInterval !== undefined && now - life.checkedAt > this.#longest(checkInterval)) {
        this.#note(item, now, `was not checked for ${now - life.checkedAt} ms`)
      }
    }
  }

  #checked(item: number, life: Life, at: number): void {
    const { checkInterval, keepAlive } = this.#promises
    this.checks++
    if (checkInterval !== undefined) {
      const gap = at - life.checkedAt
      const isOnTime = life.usedSinceCheck
        ? gap >= checkInterval && gap <= this.#longest(checkInterval)
        : gap === checkInterval
      if (!isOnTime) this.#note(item, at, `was checked after ${gap} ms${life.usedSinceCheck ? ", with uses" : ""}`)
    }
    if (keepAlive !== undefined && checkInterval === undefined && at - life.provenAt !== keepAlive) {
      this.#note(item, at, `was kept alive after ${at - life.provenAt} ms`)
    }
    life.checkedAt = at
    life.provenAt = at
    life.usedSinceCheck = false
  }

  #destroyed(item: number, life: Life, reason: PoolEvent.DestroyReason, at: number): void {
    const { hold, idleTimeout, lifetimeJitter, maxLifetime } = this.#promises
    const age = at - life.createdAt
    this.expectedChecks += this.#due(age)
    if (reason === "maxLifetime") {
      this.lifetimes++
      this.#sumOfLifetimes += age
      if (age < maxLifetime * (1 - lifetimeJitter)) this.#note(item, at, `was too old after ${age} ms`)
      if (age > maxLifetime + hold) this.#note(item, at, `lived for ${age} ms`)
    } else if (reason === "idleTimeout") {
      const unused = at - life.releasedAt
      if (unused < idleTimeout) this.#note(item, at, `was unused for too long after ${unused} ms`)
    } else if (reason !== "closed") {
      this.#note(item, at, `was destroyed: ${reason}`)
    }
  }

  /** A connection that is in use when a check is due is looked at again when an interval is over. */
  #longest(interval: number): number {
    return 2 * interval + this.#promises.hold
  }

  #due(age: number): number {
    return Math.floor(age / (this.#promises.checkInterval ?? Infinity))
  }

  #note(item: number, at: number, what: string): void {
    if (this.wrong.length < 10) this.wrong.push(`connection ${item} ${what}, at ${at}`)
  }
}
