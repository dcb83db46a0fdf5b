import { Background, type CoarseClock } from "@effect-pools/core"
import type { Socket } from "node:net"

/** How much one direction of a connection has in flight at most, as a TCP window has; then its source is not read. */
const IN_FLIGHT = 256 * 1024

/** The same for many small messages. */
const CHUNKS_IN_FLIGHT = 1024

/** A throttled direction sends this many pieces a second, if bytes suffice. */
const PIECES_PER_SECOND = 50

/** What happens to the bytes of one direction. Times are in milliseconds. */
export interface Conditions {
  readonly latency: number
  readonly jitter: number
  readonly bytesPerSecond: number
  readonly isStalled: boolean
  readonly isBlackhole: boolean
  /** How many more bytes pass before the connection comes to its `ending`. */
  readonly bytesLeft: number
  readonly ending: "cut" | "reset"
}

export const healthy: Conditions = {
  latency: 0,
  jitter: 0,
  bytesPerSecond: Infinity,
  isStalled: false,
  isBlackhole: false,
  bytesLeft: Infinity,
  ending: "cut"
}

/** What of one direction has been counted, over all connections. */
export interface Traffic {
  /** Bytes read from the source. */
  received: number
  /** Bytes given to the sink. */
  sent: number
  /** Bytes that a blackhole or the end of their connection has taken. */
  lost: number
}

/** What pipes have in common. */
export interface Surroundings {
  readonly background: Background.Background
  readonly clock: CoarseClock.CoarseClock
  /** From 0 up to 1. */
  readonly random: () => number
}

/** What a pipe asks of its connection. */
export interface Owner {
  /** The source is gone without a proper end, and the sink is to learn of it. */
  readonly broken: () => void
  readonly bytesSpent: (ending: "cut" | "reset") => void
  /** Bytes were lost, and the conditions no longer account for it. */
  readonly inconsistent: () => void
}

interface Entry {
  readonly at: number
  /** How much of the jitter falls to it, from 0 to 1: drawn when there is any. */
  luck: number | undefined
  payload: Uint8Array | "end" | "broken"
}

/**
 * One direction of a connection: what is read from the source waits in a queue until the conditions let it pass to the
 * sink, endings included.
 *
 * Conditions are applied when an entry is about to leave, not when it came, so that a change reaches what is in flight.
 */
export class Pipe {
  readonly #source: Socket
  readonly #sink: Socket
  readonly #traffic: Traffic
  readonly #surroundings: Surroundings
  readonly #owner: Owner
  readonly #alarm: Background.Alarm
  readonly #queue: Array<Entry> = []
  #conditions: Conditions
  #inFlight = 0
  /** When a throttled line has sent the piece before; `undefined` if it was at rest. */
  #lineFreeAt: number | undefined = undefined
  #isStopped = false
  #hasLost = false

  constructor(
    source: Socket,
    sink: Socket,
    conditions: Conditions,
    traffic: Traffic,
    surroundings: Surroundings,
    owner: Owner
  ) {
    this.#source = source
    this.#sink = sink
    this.#conditions = conditions
    this.#traffic = traffic
    this.#surroundings = surroundings
    this.#owner = owner
    this.#alarm = new Background.Alarm(surroundings.background, surroundings.clock, () => this.#pump())
    source.on("data", (bytes) => this.#receive(bytes))
    source.on("end", () => this.#enqueue("end"))
    source.on("close", () => {
      if (!(source.readableEnded && source.writableFinished)) this.#enqueue("broken")
    })
    for (const event of ["connect", "drain"]) sink.on(event, () => this.#pump())
  }

  change(change: Partial<Conditions>): void {
    if (this.#isStopped) return
    this.#conditions = { ...this.#conditions, ...change }
    if (this.#hasLost && !this.#conditions.isBlackhole) this.#owner.inconsistent()
    else this.#pump()
  }

  /** Something that should have come through here never will. */
  lose(): void {
    this.#hasLost = true
  }

  /** Passes on nothing any more; what still comes is dropped. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#alarm.clear()
    this.#drop()
    this.#source.resume()
  }

  #receive(bytes: Uint8Array): void {
    this.#traffic.received += bytes.length
    this.#enqueue(bytes)
  }

  #enqueue(payload: Entry["payload"]): void {
    this.#queue.push({ at: this.#surroundings.clock.exact(), luck: undefined, payload })
    if (typeof payload === "object") this.#inFlight += payload.length
    if (this.#isStopped) this.#drop()
    else this.#pump()
  }

  #drop(): void {
    if (this.#queue.length === 0) return
    this.#hasLost = true
    this.#traffic.lost += this.#inFlight
    this.#inFlight = 0
    this.#queue.length = 0
  }

  #pump(): void {
    if (this.#isStopped) return
    if (this.#conditions.isBlackhole) this.#drop()
    else while (this.#passOn());
    if (this.#isStopped) return
    if (this.#inFlight >= IN_FLIGHT || this.#queue.length >= CHUNKS_IN_FLIGHT) this.#source.pause()
    else this.#source.resume()
  }

  /** Passes on what may leave now; `false` if there is no more of it. */
  #passOn(): boolean {
    const entry = this.#queue[0]
    const { isStalled, jitter, latency } = this.#conditions
    const sink = this.#sink
    if (entry === undefined || isStalled || sink.connecting || sink.writableNeedDrain) return this.#rest()
    const now = this.#surroundings.clock.exact()
    let due = entry.at + latency
    if (jitter > 0) due += jitter * (entry.luck ??= this.#surroundings.random())
    if (now < due) {
      this.#alarm.set(due)
      return this.#rest()
    }
    const { payload } = entry
    if (typeof payload === "object") {
      if (!sink.destroyed) return this.#send(entry, payload, now)
      this.#drop()
      return this.#rest()
    }
    this.#queue.shift()
    if (payload === "broken") this.#owner.broken()
    else sink.end()
    return !this.#isStopped
  }

  #send(entry: Entry, payload: Uint8Array, now: number): boolean {
    const { bytesLeft, bytesPerSecond, ending } = this.#conditions
    const share = Math.max(1, Math.floor(bytesPerSecond / PIECES_PER_SECOND))
    const piece = payload.subarray(0, Math.min(share, bytesLeft))
    if (bytesPerSecond !== Infinity) {
      // From the end of the piece before, so that late timers don't add up.
      this.#lineFreeAt ??= now
      const sentAt = this.#lineFreeAt + (piece.length / bytesPerSecond) * 1000
      if (now < sentAt) {
        this.#alarm.set(sentAt)
        return false
      }
      this.#lineFreeAt = sentAt
    }
    if (piece.length === payload.length) this.#queue.shift()
    else entry.payload = payload.subarray(piece.length)
    this.#inFlight -= piece.length
    this.#traffic.sent += piece.length
    this.#sink.write(piece)
    this.#conditions = { ...this.#conditions, bytesLeft: bytesLeft - piece.length }
    if (this.#conditions.bytesLeft === 0) this.#owner.bytesSpent(ending)
    return !this.#isStopped
  }

  #rest(): false {
    this.#lineFreeAt = undefined
    return false
  }
}
