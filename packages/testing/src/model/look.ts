import type { PoolEvent } from "@effect-pools/core"
import type { Item } from "../Gates.ts"
import type { Callers } from "./callers.ts"
import type { AnyPool, World } from "./world.ts"

/** For how long a caller may be left to work under way, in milliseconds, while there is room to start more for it. */
const PATIENCE = 1500

/** Compares a pool with the model and with its resource, from outside. */
export class Look<P extends AnyPool> {
  readonly #world: World<P>
  readonly #callers: Callers<P>
  /** What only this kind of pool has to say. */
  readonly #special: (pool: P) => Iterable<string>
  /** After a shrink there may be more than `max`, but only on the way down. */
  #allowed: number
  readonly #alive: Array<Item> = []
  #known = 0
  /** Since when callers have been left to work under way, and how much had been started for them. */
  #leftSince: number | undefined = undefined
  #attempts = 0
  #strandedAt: number | undefined = undefined
  /** How many attempts in a row had failed when this millisecond began. */
  #failures = 0
  #now = 0

  constructor(world: World<P>, callers: Callers<P>, special: (pool: P) => Iterable<string>) {
    this.#world = world
    this.#callers = callers
    this.#special = special
    this.#allowed = world.settings.max
  }

  /** What holds before every step. */
  atStep(): void {
    const { model, pool } = this.#world
    model.passes(pool.admission.idle)
    this.#callers.collect()
    this.#atCap()
    this.#atCreation()
    this.#atCounts()
    this.#atItems()
    this.#atIdle()
    this.#atWaiters()
    for (const what of this.#special(pool)) this.#world.broken("look", what)
  }

  get #live(): number {
    const { creating, destroying, idle, used } = this.#world.pool.admission
    return idle + used + creating + destroying
  }

  #atCap(): void {
    const { creating, destroying, idle, max, pending, used } = this.#world.pool.admission
    const live = this.#live
    this.#allowed = Math.max(max, Math.min(this.#allowed, live))
    if (live > this.#allowed) this.#world.broken(1, `${live} items are live, ${this.#allowed} are allowed`)
    if (Math.min(creating, destroying, idle, pending, used) < 0) this.#world.broken(5, "a count is negative")
  }

  /** However many wait, attempts are few at a time, and of those that fail there are few at once. */
  #atCreation(): void {
    const { lacks, model, now, pool, settings } = this.#world
    const { creating } = pool.admission
    if (creating > settings.maxCreating) {
      this.#world.broken(11, `${creating} items are being made, ${settings.maxCreating} are allowed`)
    }
    if (now > this.#now || model.failures < this.#failures) this.#failures = model.failures
    this.#now = now
    const failed = model.failures - this.#failures
    if (failed > settings.maxCreating && lacks.retries === undefined) {
      this.#world.broken(11, `${failed} attempts to make an item have failed within a millisecond`)
    }
  }

  #atCounts(): void {
    const { model, pool } = this.#world
    const { idle, lifecycle, observer, pending, used } = pool.admission
    const { acquired, created, destroyed, released } = observer
    const broken = this.#world.broken.bind(this.#world)
    if (lifecycle !== model.lifecycle) broken("contract", `the pool is ${lifecycle}, the model ${model.lifecycle}`)
    if (pending !== model.waiting.length) {
      broken(3, `the pool has ${pending} callers waiting, the model ${model.waiting.length}`)
    }
    if (pending > 0 && model.isOver) broken(9, `${pending} callers wait for a pool that is ${lifecycle}`)
    if (acquired - released !== model.held) {
      broken(2, `the pool has begun ${acquired} leases and ended ${released}, the model has ${model.held}`)
    }
    // Once the grace of a close is over, items go under their holders.
    if (lifecycle !== "closed" && used < model.hands.size) {
      broken(2, `${model.hands.size} items are held, the pool has ${used} used`)
    }
    let gone = 0
    for (const reason in destroyed) gone += destroyed[reason as PoolEvent.DestroyReason]
    if (created - gone !== idle + used) broken(5, `${created} items were made, ${gone} went, ${idle + used} are there`)
  }

  /** The resource itself, whatever the pool counts. */
  #atItems(): void {
    const { gates, isHung } = this.#world
    const { items } = gates
    while (this.#known < items.length) this.#alive.push(items[this.#known++]!)
    for (let index = this.#alive.length - 1; index >= 0; index--) {
      const item = this.#alive[index]!
      if (item.destroying > 1) this.#world.broken(2, `item ${item.id} was destroyed ${item.destroying} times`)
      if (item.destroyed > 0) this.#alive.splice(index, 1)
    }
    if (!isHung && this.#alive.length > this.#allowed) {
      this.#world.broken(1, `${this.#alive.length} items are there, ${this.#allowed} are allowed`)
    }
  }

  /** Time does not pass while somebody could be served: all that was due then has happened. */
  #atIdle(): void {
    const { now } = this.#world
    if (this.#strandedAt !== undefined && now > this.#strandedAt) {
      this.#world.broken(3, `callers waited while items were idle, for ${now - this.#strandedAt} ms`)
    }
    this.#strandedAt = this.#isStranded ? now : undefined
  }

  /** Somebody waits while an item is idle. One that is being checked is. */
  get #isStranded(): boolean {
    const { model, pool, settings } = this.#world
    const { idle, used } = pool.admission
    const preparing = used - model.hands.size
    const mayServe = model.lifecycle === "open" && !settings.steps.includes("check") && idle > 0
    return mayServe && model.waiting.length > preparing * settings.concurrency
  }

  #atWaiters(): void {
    const { gates, lacks, model, now, pool, settings } = this.#world
    const { creating, lifecycle, max, used } = pool.admission
    const live = this.#live
    const hasRoom = lifecycle === "open" && live < max && creating < settings.maxCreating && model.failures === 0
    const { demanding } = model
    // As it was at the last step, so it was until now.
    if (now - (this.#leftSince ?? now) > PATIENCE && lacks.retries === undefined) {
      this.#world.broken(6, `for ${PATIENCE} ms callers were left to work under way while there was room for more`)
    }
    const isHelped = gates.attempts > this.#attempts
    this.#attempts = gates.attempts
    if (!hasRoom || demanding === 0) {
      this.#leftSince = undefined
      return
    }
    if (isHelped) this.#leftSince = now
    else this.#leftSince ??= now
    const coming = (used - model.hands.size + creating) * settings.concurrency
    if (demanding > coming) {
      this.#world.broken(3, `${demanding} callers wait, ${coming} are served soon, and there is room for more`)
    }
  }

  /** What holds when nothing is left to do at this time. */
  atRest(): void {
    if (this.#world.violation !== undefined) return
    this.#everybodyIsSomewhere()
    const { gates, lacks, model, pool, settings } = this.#world
    const { creating, idle, max, used } = pool.admission
    const live = this.#live
    const { maxCreating, steps } = settings
    const broken = this.#world.broken.bind(this.#world)
    if (gates.open !== idle + used) broken(2, `${gates.open} items are there, the pool has ${idle + used}`)
    const preparing = used - model.hands.size
    if (preparing > 0 && !steps.includes("validate") && !steps.includes("reset") && !model.isOver) {
      broken(5, `${used} items are used, ${model.hands.size} held`)
    }
    if (this.#isStranded) broken(3, `${model.waiting.length} callers wait while ${idle} items are idle`)
    // The place of one that goes may be filled when it has gone.
    const isShort = live < Math.min(model.min, max) && creating < maxCreating
    if (isShort && model.failures === 0 && !model.isOver && lacks.minimum === undefined) {
      broken("contract", `${idle + used} items are there and ${creating} to come, min is ${model.min}`)
    }
    this.#itEnds()
  }

  #itEnds(): void {
    const { model, now, pool } = this.#world
    const { used } = pool.admission
    if (!model.isOver && model.isToEnd) this.#world.broken(9, `the pool is ${model.lifecycle} and was to end`)
    if (model.lifecycle === "draining" && (used === 0 || now > model.drainsUntil)) {
      this.#world.broken(9, `the pool goes on draining with ${used} items out`)
    }
    if (model.lifecycle === "closed" && used > 0 && now > model.closesUntil) {
      this.#world.broken(9, `the grace of the close is over, and ${used} items are out`)
    }
  }

  #everybodyIsSomewhere(): void {
    const { now } = this.#world
    const broken = this.#world.broken.bind(this.#world)
    for (const { call, scope } of this.#callers.open) {
      const { deadline, id, state } = call
      if (state === "asking") broken(3, `call ${id} is neither served nor waiting nor answered`)
      if (state === "waiting" && deadline < now) broken(8, `call ${id} waits ${now - deadline} ms after its deadline`)
      if (state === "done") broken(3, `call ${id} is done, and its caller does not know`)
      if (state === "holding" && scope !== undefined) broken(3, `call ${id} was served, and its caller does not know`)
    }
    const { getters } = this.#callers
    for (let index = getters.length - 1; index >= 0; index--) {
      const { call, scope } = getters[index]!
      if (call.state === "done") getters.splice(index, 1)
      else if (call.state === "holding" && scope!.state._tag === "Closed") {
        broken(2, `the lease of call ${call.id} has not ended with its scope`)
      }
    }
  }
}
