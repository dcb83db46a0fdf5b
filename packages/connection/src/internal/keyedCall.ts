import * as Lease from "@effect-pools/core/Lease"
import type * as Admission from "@effect-pools/core/Admission"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Members } from "./members.ts"

type Body<A> = (connection: A) => Effect.Effect<any, any, any>

/** A call for a connection of a key. Which pool it goes to is decided each time it is run, and once more if that pool closes. */
export class KeyedCall<K, A> extends Lease.Call {
  readonly members: Members<K, A, any>
  readonly key: K
  /** What to run with the connection; `undefined` hands it to the caller, for the surrounding scope. */
  readonly body: Body<A> | undefined
  readonly options: Lease.AcquireOptions | undefined
  readonly isOptional: boolean
  readonly site: Lease.CallSite | undefined
  /** Since when it has waited already, for a pool to open or for one that has closed; in milliseconds of the map's clock. */
  readonly since: number | undefined

  constructor(
    members: Members<K, A, any>,
    key: K,
    body: Body<A> | undefined,
    options: Lease.AcquireOptions | undefined,
    isOptional: boolean,
    site: Lease.CallSite | undefined,
    since?: number | undefined
  ) {
    super()
    this.members = members
    this.key = key
    this.body = body
    this.options = options
    this.isOptional = isOptional
    this.site = site
    this.since = since
  }

  evaluate(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<any, any, any> {
    return this.members.evaluate(this, fiber)
  }

  /** The same call, with the time that it has waited. */
  again(since: number): KeyedCall<K, A> {
    if (this.since !== undefined) return this
    return new KeyedCall(this.members, this.key, this.body, this.options, this.isOptional, this.site, since)
  }
}

/** A keyed call at one of the map's pools. */
export class MemberRequest<K, A> extends Lease.Request<A> {
  readonly call: KeyedCall<K, A>

  constructor(admission: Admission.Admission<A>, call: KeyedCall<K, A>, options: Lease.AcquireOptions | undefined) {
    super(admission, call.body, options, call.isOptional, call.site ?? null)
    this.call = call
  }

  override elsewhere(lease: Lease.Lease<A>): Lease.Call {
    return this.call.again(lease.waiter === undefined ? this.admission.clock.now() : lease.since)
  }
}
