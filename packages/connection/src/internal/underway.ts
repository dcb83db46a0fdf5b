import { type Admission, Background, LinkedList } from "@effect-pools/core"

/**
 * How long a waiter is taken to be provided for by work that is under way, in milliseconds. After that something else is
 * started for it beside, as far as `max` and `maxCreating` go, so that one validation or connect that hangs holds nobody
 * up who could be served otherwise: the hedged requests of Dean and Barroso, "The Tail at Scale" (2013). `interrupt` is how
 * long a check that was interrupted may take to end.
 */
export const PATIENCE = { prepare: 250, create: 1000, interrupt: 1000 } as const

interface Job extends LinkedList.Linked<Job> {
  readonly until: number
}

/** Work that will end a wait: `expected` is how much of it still counts. */
export class Underway {
  readonly #jobs = new LinkedList.LinkedList<Job>()
  readonly #patience: number
  readonly #alarm: Background.Alarm

  constructor(
    admission: Pick<Admission.Admission<any, any>, "background" | "clock">,
    patience: number,
    onOverdue: () => void
  ) {
    this.#patience = patience
    this.#alarm = new Background.Alarm(admission.background, admission.clock, (now) => {
      this.#expire(now)
      onOverdue()
    })
  }

  get expected(): number {
    return this.#jobs.size
  }

  /** A piece of work has begun. The returned function says that it has ended. */
  begin(now: number): () => void {
    const job: Job = { until: now + this.#patience, list: undefined, previous: undefined, next: undefined }
    this.#jobs.addLast(job)
    this.#alarm.set(job.until)
    return () => {
      if (job.list !== undefined) this.#jobs.remove(job)
    }
  }

  stop(): void {
    this.#alarm.clear()
  }

  #expire(now: number): void {
    let job = this.#jobs.head
    while (job !== undefined && job.until <= now) {
      this.#jobs.remove(job)
      job = this.#jobs.head
    }
    if (job !== undefined) this.#alarm.set(job.until)
  }
}
