import type { Entry, Lease } from "../Lease.ts"

// The leases on an item, latest first, linked through themselves.

export const addHolder = <A>(entry: Entry<A>, lease: Lease<A>): void => {
  const latest = entry.holder
  if (latest !== undefined) {
    lease.next = latest
    latest.previous = lease
  }
  entry.holder = lease
}

export const removeHolder = <A>(entry: Entry<A>, lease: Lease<A>): void => {
  if (lease.previous === undefined) entry.holder = lease.next
  else lease.previous.next = lease.next
  if (lease.next !== undefined) lease.next.previous = lease.previous
  lease.previous = undefined
  lease.next = undefined
}
