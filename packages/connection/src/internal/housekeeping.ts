import * as Background from "@effect-pools/core/Background"
import type { Connection } from "./connection.ts"
import type { ConnectionStore } from "./store.ts"

/** How many connections are out of circulation for a check at a time. */
const MAX_CHECKING = 2

/** When to look again at a check that found no turn, in milliseconds. */
const CHECK_AGAIN = 1000

/**
 * Looks after what lies idle: idle timeout, lifetime, keep-alive, health checks.
 *
 * It sleeps until the next thing is due, so a pool at rest costs nothing, and it only ever takes idle connections, and
 * none while somebody waits.
 */
export class Housekeeping<A, E> {
  readonly #store: ConnectionStore<A, E>
  readonly #alarm: Background.Alarm
  /** The longest time that may pass between a connection's return and a look at it. */
  readonly #period: number
  #checking = 0
  #isStarting = false
  #isStopped = false

  constructor(store: ConnectionStore<A, E>) {
    const { checkInterval, idleTimeout, keepAlive } = store.options
    this.#store = store
    this.#period = Math.min(idleTimeout, keepAlive, checkInterval)
    this.#alarm = new Background.Alarm(store.admission.background, store.admission.clock, (now) => this.#sweep(now))
  }

  /** A connection has come into being. */
  expect(connection: Connection<A>, now: number): void {
    this.#alarm.set(Math.min(connection.expiresAt, now + this.#period))
  }

  /** `min` was changed: what had to stay may have to go. */
  resized(now: number): void {
    this.cleanUp(now)
    if (!this.#isStopped) this.#alarm.set(this.#nextDue(now))
  }

  stop(): void {
    this.#isStopped = true
    this.#alarm.clear()
  }

  /** Retires idle connections that are expired, unhealthy or unused for too long; returns how many. */
  cleanUp(now: number): number {
    const { admission, options } = this.#store
    let retired = 0
    for (const connection of this.#store.idleConnections()) {
      const reason =
        now >= connection.expiresAt
          ? "maxLifetime"
          : !options.rules.isHealthy(connection)
            ? "unhealthy"
            : now - connection.lastUsed >= options.idleTimeout && admission.idle + admission.used > admission.min
              ? "idleTimeout"
              : undefined
      if (reason === undefined) continue
      this.#store.destroy(connection, reason)
      retired++
    }
    return retired
  }

  #sweep(now: number): void {
    if (this.#isStopped) return
    this.cleanUp(now)
    this.#check(now)
    this.#alarm.set(this.#nextDue(now))
  }

  #check(now: number): void {
    const { admission, options } = this.#store
    if (options.check === undefined) return
    this.#isStarting = true
    for (const connection of this.#store.idleConnections()) {
      if (this.#checking >= MAX_CHECKING || admission.pending > 0) break
      // The last free connection is checked only if it is alone.
      if (this.#checking > 0 && admission.idle - this.#checking <= 1) break
      if (now < this.#checkDue(connection)) continue
      this.#checking++
      this.#store.startCheck(connection, options.check, () => {
        this.#checking--
        // One that is over at once gets here from within the loop, which goes on.
        if (!this.#isStarting) this.#sweep(admission.clock.now())
      })
    }
    this.#isStarting = false
  }

  /** Keep-alive counts from the last sign of life, health checks from the last check. */
  #checkDue(connection: Connection<A>): number {
    const { checkInterval, keepAlive } = this.#store.options
    return Math.min(connection.checkedAt + checkInterval, connection.provenAt + keepAlive)
  }

  #nextDue(now: number): number {
    const { admission, all, options } = this.#store
    let due = Infinity
    for (const connection of all) {
      // One in use may come back this instant; nothing about it is due before a period is over.
      let next = Math.min(connection.expiresAt, now + this.#period)
      if (connection.state === "idle") {
        next = connection.expiresAt
        // With the pool at `min` it stays, until others come or `min` is lowered; both take a look.
        if (admission.idle + admission.used > admission.min) {
          next = Math.min(next, connection.lastUsed + options.idleTimeout)
        }
        const checkDue = this.#checkDue(connection)
        // What is due but not under way waits for its turn.
        next = Math.min(next, checkDue > now ? checkDue : now + CHECK_AGAIN)
      }
      if (next <= now) next = now + this.#period
      if (next < due) due = next
    }
    return due
  }
}
