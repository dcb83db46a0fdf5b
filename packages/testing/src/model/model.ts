/**
 * What a pool has to do, as plain state: the specification that a model run compares a pool with.
 *
 * The model makes no choice that is the pool's to make (which item, and when it is ready). It is told what the pool does,
 * transition by transition, and says whether the pool may do that: whose turn it is, what a caller may be told, what
 * counts as held.
 */

/** An invariant by its number in the design, or the contract of a function. */
export type Invariant = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | "contract" | "look"

export type Lifecycle = "open" | "suspended" | "draining" | "closed"

/** How a call for an item ends; `nothing` is what a call that does not wait gets, `failure` is one of creating an item. */
export type Answer =
  | "item"
  | "nothing"
  | "AcquireTimeout"
  | "Exhausted"
  | "QueueFull"
  | "Suspended"
  | "Closed"
  | "BudgetClosed"
  | "failure"
  | "interruption"

export interface Ask {
  /** Takes part only if an item is idle. */
  readonly isOptional: boolean
  readonly priority: number
  /** In milliseconds; 0 does not wait. */
  readonly timeout: number
}

/** One call, from its beginning to the end of its lease. */
export class Call {
  readonly id: number
  readonly ask: Ask
  state: "asking" | "waiting" | "holding" | "done" = "asking"
  /** How it may end. Grows while it is asking, with every moment at which an answer would have been right. */
  readonly answers = new Set<Answer>()
  deadline = Infinity
  /** The pool's number of the item that it holds or held. */
  item: number | undefined = undefined
  /** Somebody has interrupted it, or closed its scope. */
  isCalledOff = false

  constructor(id: number, ask: Ask) {
    this.id = id
    this.ask = ask
  }
}

export interface Rules {
  readonly min: number
  readonly max: number
  readonly maxWaiters: number
  /** How many leases may share an item. */
  readonly concurrency: number
  /** Idle items may have to pass a step before they can be handed out, or be busy with one. */
  readonly isIdleUncertain: boolean
}

export class Model {
  lifecycle: Lifecycle = "open"
  /** The lifecycles that the pool has been asked to go to, and may go to by itself. */
  readonly #coming = new Set<Lifecycle>()
  /** When it goes on without those who still hold an item. */
  drainsUntil = Infinity
  closesUntil = Infinity
  min: number
  max: number
  readonly maxWaiters: number
  readonly concurrency: number
  /** By priority, then first come. */
  readonly waiting: Array<Call> = []
  /** Who holds which item. */
  readonly hands = new Map<number, Set<Call>>()
  readonly #asking = new Set<Call>()
  /** Failures to create an item since the last success. */
  failures = 0
  readonly #isIdleUncertain: boolean
  readonly #broken: (invariant: Invariant, what: string) => void

  constructor(rules: Rules, broken: (invariant: Invariant, what: string) => void) {
    this.min = rules.min
    this.max = rules.max
    this.maxWaiters = rules.maxWaiters
    this.concurrency = rules.concurrency
    this.#isIdleUncertain = rules.isIdleUncertain
    this.#broken = broken
  }

  /** How many leases there are. */
  get held(): number {
    let count = 0
    for (const holders of this.hands.values()) count += holders.size
    return count
  }

  /** Those for whom an item may be made. */
  get demanding(): number {
    return this.waiting.filter((call) => !call.ask.isOptional).length
  }

  get isOver(): boolean {
    return this.lifecycle === "draining" || this.lifecycle === "closed"
  }

  /** It has been asked to drain or close. */
  get isToEnd(): boolean {
    return this.#coming.size > 0
  }

  // What is asked of the pool ----------------------------------------------------------------------------------------

  asks(call: Call): void {
    this.#asking.add(call)
  }

  suspends(): void {
    if (this.lifecycle === "open") this.lifecycle = "suspended"
  }

  resumes(): void {
    if (this.lifecycle === "suspended") this.lifecycle = "open"
  }

  resizes(min: number, max: number): void {
    this.min = min
    this.max = max
  }

  /** It drains from some moment on, and closes when the last lease is back or the time is over. */
  drains(until: number): void {
    this.#coming.add("draining").add("closed")
    this.drainsUntil = Math.min(this.drainsUntil, until)
  }

  /** It closes from some moment on, and destroys what is not back when the time is over. */
  closes(until: number): void {
    this.#coming.add("closed")
    this.closesUntil = Math.min(this.closesUntil, until)
  }

  // What the pool does -----------------------------------------------------------------------------------------------

  moves(to: Lifecycle): void {
    if (to === this.lifecycle) return
    if (this.lifecycle === "closed" || !this.#coming.has(to)) {
      this.#broken("contract", `it went from ${this.lifecycle} to ${to}`)
    }
    this.lifecycle = to
  }

  /** A caller is put in the queue. */
  waits(call: Call, now: number, idle: number): void {
    const { isOptional, timeout } = call.ask
    if (call.state !== "asking") this.#broken("contract", `call ${call.id} waits though it is ${call.state}`)
    if (this.isOver) this.#broken(9, `call ${call.id} waits for a pool that is ${this.lifecycle}`)
    if (timeout <= 0) this.#broken("contract", `call ${call.id} waits and was told not to`)
    if (this.waiting.length >= this.maxWaiters && !isOptional) {
      this.#broken("contract", `call ${call.id} is one waiter too many`)
    }
    if (isOptional && this.lifecycle === "suspended") {
      this.#broken("contract", `call ${call.id} waits for a suspended pool, and was not to wait for its turn`)
    }
    if (this.lifecycle === "open" && this.waiting.length === 0 && idle > 0 && !this.#isIdleUncertain) {
      this.#broken(3, `call ${call.id} waits while ${idle} items are idle`)
    }
    this.#asking.delete(call)
    call.state = "waiting"
    call.deadline = now + timeout
    const after = this.waiting.findIndex((other) => other.ask.priority < call.ask.priority)
    this.waiting.splice(after === -1 ? this.waiting.length : after, 0, call)
  }

  /** A caller is given an item. */
  serves(call: Call, item: number, now: number): void {
    if (this.lifecycle !== "open") {
      this.#broken(this.isOver ? 9 : "contract", `call ${call.id} was served by a pool that is ${this.lifecycle}`)
    }
    if (call.state === "waiting") {
      const first = this.waiting[0]!
      if (call !== first) this.#broken(4, `call ${call.id} was served before call ${first.id}`)
      if (now > call.deadline)
        this.#broken(8, `call ${call.id} was served ${now - call.deadline} ms after its deadline`)
      this.waiting.splice(this.waiting.indexOf(call), 1)
    } else if (call.state === "asking") {
      const first = this.waiting[0]
      if (first !== undefined) this.#broken(4, `call ${call.id} has just come and overtook call ${first.id}`)
      this.#asking.delete(call)
    } else {
      this.#broken(2, `call ${call.id} was served though it is ${call.state}`)
    }
    const holders = this.hands.get(item) ?? new Set<Call>()
    this.hands.set(item, holders.add(call))
    if (holders.size > this.concurrency) this.#broken(2, `item ${item} is held by ${holders.size} calls`)
    call.state = "holding"
    call.item = item
    this.#answerIs(call, "item")
  }

  /** A caller leaves the queue without an item. */
  leaves(call: Call, outcome: "timeout" | "interrupted" | "failed" | "closed" | "declined", now: number): void {
    if (call.state !== "waiting") return this.#broken("contract", `call ${call.id} left, though it is ${call.state}`)
    this.waiting.splice(this.waiting.indexOf(call), 1)
    call.state = "done"
    const { isOptional } = call.ask
    switch (outcome) {
      case "timeout": {
        const late = now - call.deadline
        if (late < 0) this.#broken(8, `call ${call.id} timed out ${-late} ms before its deadline`)
        if (late > 1) this.#broken(8, `call ${call.id} timed out ${late} ms after its deadline`)
        if (isOptional) return this.#answerIs(call, "nothing")
        return this.failures > 0
          ? this.#answerIs(call, "AcquireTimeout", "failure")
          : this.#answerIs(call, "AcquireTimeout")
      }
      case "interrupted":
        if (!call.isCalledOff) this.#broken("contract", `call ${call.id} left as if interrupted, and nobody did that`)
        return this.#answerIs(call, "interruption")
      case "failed":
        if (this.failures === 0) this.#broken("contract", `call ${call.id} failed, but no creation has`)
        return this.#answerIs(call, "failure")
      case "closed":
        if (!this.isOver)
          this.#broken("contract", `call ${call.id} was told of a close, but the pool is ${this.lifecycle}`)
        return this.#answerIs(call, "Closed")
      case "declined":
        if (!isOptional) this.#broken("contract", `call ${call.id} was declined, though it waits for its turn`)
        return this.#answerIs(call, "nothing")
    }
  }

  /** A lease has ended. */
  releases(call: Call): void {
    if (call.state !== "holding") return this.#broken(2, `call ${call.id} released though it is ${call.state}`)
    call.state = "done"
    const holders = this.hands.get(call.item!)!
    holders.delete(call)
    if (holders.size === 0) this.hands.delete(call.item!)
  }

  /** Notes what callers that are asking right now may be told. */
  passes(idle: number): void {
    if (this.#asking.size === 0) return
    const isBusy = idle === 0 || this.waiting.length > 0 || this.#isIdleUncertain
    for (const { answers, ask } of this.#asking) {
      if (this.isOver) answers.add("Closed")
      else if (ask.isOptional) {
        if (isBusy || this.lifecycle === "suspended") answers.add("nothing")
      } else if (ask.timeout <= 0) {
        if (this.lifecycle === "suspended") answers.add("Suspended")
        else if (isBusy) answers.add("Exhausted")
        // Some kinds make items in the caller's own step.
        if (this.failures > 0) answers.add("failure")
      } else {
        if (this.waiting.length >= this.maxWaiters) answers.add("QueueFull")
        if (this.failures > 0) answers.add("failure")
      }
    }
  }

  /** The caller has its answer. */
  ends(call: Call, answer: Answer): void {
    this.#asking.delete(call)
    if (call.state === "asking") call.state = "done"
    if (call.state === "waiting") this.#broken(2, `call ${call.id} ended with ${answer} and is still in the queue`)
    if (call.answers.has(answer) || (answer === "interruption" && call.isCalledOff)) return
    const allowed = Array.from(call.answers)
    const expected = allowed.length === 0 ? "nothing of the kind" : allowed.join(" or ")
    const isEarly = answer === "AcquireTimeout"
    this.#broken(isEarly ? 8 : "contract", `call ${call.id} was answered ${answer}; expected was ${expected}`)
  }

  #answerIs(call: Call, ...answers: ReadonlyArray<Answer>): void {
    call.answers.clear()
    for (const answer of answers) call.answers.add(answer)
  }

  /** Its state in a line. */
  inWords(): string {
    const hands = Array.from(this.hands, ([item, calls]) => `${item}: ${Array.from(calls, callInWords).join(" ")}`)
    return [
      this.lifecycle,
      `${this.hands.size} used`,
      `${this.waiting.length} pending`,
      ...(hands.length === 0 ? [] : [`hands {${hands.join(", ")}}`]),
      ...(this.waiting.length === 0 ? [] : [`queue [${this.waiting.map(callInWords).join(" ")}]`])
    ].join(", ")
  }
}

const callInWords = ({ ask, id }: Call): string => `#${id}${ask.priority === 0 ? "" : `(priority ${ask.priority})`}`
