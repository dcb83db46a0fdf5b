import type { Pool } from "@effect-pools/core"

/** What an auditor knows of a pool. */
export interface Books {
  /** The items that there are. */
  readonly items: ReadonlyMap<number, unknown>
  /** The leases that are out, by their numbers. */
  readonly leases: ReadonlyMap<number, { readonly item: number }>
  /** What events have told of. */
  readonly seen: { readonly created: number; readonly destroyed: number }
  /** What the pool had counted before the first of them. */
  readonly before: { readonly created: number; readonly destroyed: number; readonly destroying: number }
  readonly describe: (lease: number) => string
}

export const countDestroyed = ({ admission }: Pool.Pool<any, any>): number =>
  Object.values(admission.observer.destroyed).reduce((sum, count) => sum + count, 0)

/** What the pool's own counts, true between its steps, say against each other and against the books. */
export const balance = (pool: Pool.Pool<any, any>, books: Books): Array<string> => [
  ...compareItems(pool, books),
  ...compareLeases(pool, books)
]

const compareItems = (pool: Pool.Pool<any, any>, { before, seen }: Books): Array<string> => {
  const { destroying, idle, observer, used } = pool.admission
  const { created } = observer
  const destroyed = countDestroyed(pool)
  const wrong: Array<string> = []
  if (created - destroyed !== idle + used) {
    wrong.push(
      `${created} items were created and ${destroyed} destroyed by the pool's count, which leaves ` +
        `${created - destroyed}; idle and used together are ${idle + used}`
    )
  }
  const newlyCreated = created - before.created
  if (newlyCreated !== seen.created) {
    wrong.push(`${newlyCreated} items were created by the pool's count; events told of ${seen.created}`)
  }
  // A destruction is counted when it begins, and told when it has ended.
  const begun = destroyed - before.destroyed
  if (seen.destroyed > begun + before.destroying || seen.destroyed < begun - destroying) {
    wrong.push(
      `${begun} items were destroyed by the pool's count, of which ${destroying} at most have yet to end; ` +
        `events told of ${seen.destroyed}`
    )
  }
  return wrong
}

const compareLeases = ({ admission }: Pool.Pool<any, any>, { describe, items, leases }: Books): Array<string> => {
  const wrong: Array<string> = []
  const held = new Set<number>()
  for (const lease of admission.store.leases()) {
    const id = admission.leaseId(lease)
    held.add(id)
    if (!leases.has(id)) wrong.push(`the store holds lease ${id} on item ${lease.entry?.id}, which is not out`)
  }
  for (const [id, { item }] of leases) {
    // Who holds an item that was destroyed by a close is out of the store's sight.
    if (items.has(item) && !held.has(id)) wrong.push(`the store knows nothing of ${describe(id)}`)
  }
  return wrong
}
