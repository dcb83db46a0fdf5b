/**
 * How long work under way counts as help for those who wait. For those who build pools.
 *
 * @since 0.1.0
 */
import { Alarm } from "./Background.ts"
import type { Admission } from "./Admission.ts"
import { type Linked, LinkedList } from "./data/LinkedList.ts"

interface Job extends Linked<Job> {
  readonly until: number
  readonly amount: number
}

/**
 * Work that will end a wait: `expected` is how much of it still counts, in jobs unless they have amounts of their own.
 *
 * **Details**
 *
 * A waiter is taken to be provided for by work that has been under way for less than `patience` milliseconds. After that
 * `onOverdue` is called, so that something else is started beside it, and one piece of work that hangs holds nobody up who
 * could be served otherwise: the hedged requests of Dean and Barroso, "The Tail at Scale" (2013).
 *
 * @category models
 * @since 0.1.0
 */
export class Underway {
  readonly #jobs = new LinkedList<Job>()
  readonly #admission: Pick<Admission<any, any>, "background" | "clock">
  readonly #patience: number
  readonly #onOverdue: () => void
  /** Made with the first job: of some kinds of work many pools never have any. */
  #alarm: Alarm | undefined = undefined
  #expected = 0

  constructor(admission: Pick<Admission<any, any>, "background" | "clock">, patience: number, onOverdue: () => void) {
    this.#admission = admission
    this.#patience = patience
    this.#onOverdue = onOverdue
  }

  get expected(): number {
    return this.#expected
  }

  /** A piece of work has begun. The returned function says that it has ended. */
  begin(now: number, amount = 1): () => void {
    const job: Job = { until: now + this.#patience, amount, list: undefined, previous: undefined, next: undefined }
    this.#jobs.addLast(job)
    this.#expected += amount
    this.#alarm ??= new Alarm(this.#admission.background, this.#admission.clock, (now) => this.#expire(now))
    this.#alarm.set(job.until)
    return () => {
      if (job.list !== undefined) this.#remove(job)
    }
  }

  stop(): void {
    this.#alarm?.clear()
  }

  #remove(job: Job): void {
    this.#jobs.remove(job)
    this.#expected -= job.amount
  }

  #expire(now: number): void {
    let job = this.#jobs.head
    while (job !== undefined && job.until <= now) {
      this.#remove(job)
      job = this.#jobs.head
    }
    if (job !== undefined) this.#alarm!.set(job.until)
    this.#onOverdue()
  }
}
