import type { Admission } from "../Admission.ts"
import { Alarm } from "../Background.ts"
import type { Lease } from "../Lease.ts"

/** Leak detection: tells, once, of each lease that is held for longer than a threshold, in milliseconds. */
export class Overdue {
  readonly #admission: Admission<any, any>
  readonly #threshold: number
  readonly #alarm: Alarm
  readonly #reported = new WeakSet<Lease<any>>()

  constructor(admission: Admission<any, any>, threshold: number) {
    this.#admission = admission
    this.#threshold = threshold
    this.#alarm = new Alarm(admission.background, admission.clock, (now) => this.#look(now))
  }

  /** A lease has begun. */
  began(now: number): void {
    this.#alarm.set(now + this.#threshold)
  }

  #look(now: number): void {
    let next = Infinity
    for (const lease of this.#admission.store.leases()) {
      const due = lease.since + this.#threshold
      if (this.#reported.has(lease)) continue
      if (due <= now) this.#report(lease, now - lease.since)
      else if (due < next) next = due
    }
    this.#alarm.set(next)
  }

  #report(lease: Lease<any>, held: number): void {
    const { name, noun, observer } = this.#admission
    const { id: item, name: called } = lease.entry!
    const takenAt = lease.request.callSite
    this.#reported.add(lease)
    observer.emit({ _tag: "LeaseOverdue", item, lease: this.#admission.leaseId(lease), held, takenAt })
    const which = called === undefined ? `${noun} ${item}` : `${noun} "${called}"`
    const where = takenAt ?? "in an unknown place"
    this.#admission.warn(`Pool "${name}": ${which} has been held for ${Math.round(held)} ms; taken ${where}`)
  }
}
