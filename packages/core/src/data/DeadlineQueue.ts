/**
 * Waiters by the time at which their patience ends, behind one timer.
 *
 * Deadlines are rounded up to whole milliseconds; those that share a millisecond share a list, and a binary heap orders
 * the lists. Adding and leaving are constant time but for the first deadline of a millisecond, which costs a heap
 * insertion. Lists that have emptied stay in the heap until they surface or outnumber the others.
 *
 * @since 0.1.0
 */

/**
 * What a member of a {@link DeadlineQueue} carries. `deadline` is in milliseconds of the pool's clock, `Infinity` for
 * one that never ends; the other fields belong to the queue.
 *
 * @category models
 * @since 0.1.0
 */
export interface Expiring<T> {
  deadline: number
  slot: Slot<T> | undefined
  earlier: T | undefined
  later: T | undefined
}

/**
 * All members that expire in one millisecond.
 *
 * @category models
 * @since 0.1.0
 */
export interface Slot<T> {
  readonly at: number
  head: T | undefined
  tail: T | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export class DeadlineQueue<T extends Expiring<T>> {
  size = 0
  #heap: Array<Slot<T>> = []
  #slots = new Map<number, Slot<T>>()
  #empty = 0
  /** The slot last added to: those who come together mostly leave together. */
  #last: Slot<T> | undefined = undefined

  /** Adds a member with a finite deadline. One with `Infinity` is left out: there is nothing to wait for. */
  add(node: T): void {
    if (node.deadline === Infinity) return
    const at = Math.ceil(node.deadline)
    let slot = this.#last !== undefined && this.#last.at === at ? this.#last : this.#slots.get(at)
    if (slot === undefined) {
      slot = { at, head: undefined, tail: undefined }
      this.#slots.set(at, slot)
      this.#push(slot)
    } else if (slot.head === undefined) {
      this.#empty--
    }
    this.#last = slot
    node.slot = slot
    node.earlier = slot.tail
    node.later = undefined
    if (slot.tail === undefined) slot.head = node
    else slot.tail.later = node
    slot.tail = node
    this.size++
  }

  /** Takes a member out; does nothing if it is not in the queue. */
  remove(node: T): void {
    const slot = node.slot
    if (slot === undefined) return
    if (node.earlier === undefined) slot.head = node.later
    else node.earlier.later = node.later
    if (node.later === undefined) slot.tail = node.earlier
    else node.later.earlier = node.earlier
    node.slot = undefined
    node.earlier = undefined
    node.later = undefined
    this.size--
    if (slot.head === undefined && ++this.#empty > 64 && this.#empty > this.#heap.length >> 1) this.#compact()
  }

  /** The earliest deadline, or `Infinity`. */
  next(): number {
    while (this.#heap.length > 0 && this.#heap[0]!.head === undefined) {
      const slot = this.#pop()
      this.#slots.delete(slot.at)
      if (slot === this.#last) this.#last = undefined
      this.#empty--
    }
    return this.#heap.length === 0 ? Infinity : this.#heap[0]!.at
  }

  /** Takes out one member whose deadline is at or before `now`, earliest first. */
  takeExpired(now: number): T | undefined {
    // The size is asked too because `now` can be Infinity, which is what next() says of an empty queue.
    if (this.next() > now || this.size === 0) return undefined
    const node = this.#heap[0]!.head!
    this.remove(node)
    return node
  }

  #compact(): void {
    this.#last = undefined
    const live = this.#heap.filter((slot) => slot.head !== undefined)
    for (const slot of this.#heap) if (slot.head === undefined) this.#slots.delete(slot.at)
    // A sorted array is a heap.
    this.#heap = live.sort((a, b) => a.at - b.at)
    this.#empty = 0
  }

  #push(slot: Slot<T>): void {
    const heap = this.#heap
    let i = heap.length
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (heap[parent]!.at <= slot.at) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = slot
  }

  #pop(): Slot<T> {
    const heap = this.#heap
    const top = heap[0]!
    const last = heap.pop()!
    const length = heap.length
    if (length > 0) {
      let i = 0
      while (true) {
        let child = 2 * i + 1
        if (child >= length) break
        if (child + 1 < length && heap[child + 1]!.at < heap[child]!.at) child++
        if (heap[child]!.at >= last.at) break
        heap[i] = heap[child]!
        i = child
      }
      heap[i] = last
    }
    return top
  }
}
