/**
 * A doubly linked list whose links live in the members, so that adding, taking and leaving from any place allocate
 * nothing and take constant time. A member is in at most one list at a time and knows which.
 *
 * @since 0.1.0
 */

/**
 * What a member of a {@link LinkedList} carries. All three fields belong to the list.
 *
 * @category models
 * @since 0.1.0
 */
export interface Linked<T extends Linked<T>> {
  list: LinkedList<T> | undefined
  previous: T | undefined
  next: T | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export class LinkedList<T extends Linked<T>> {
  head: T | undefined = undefined
  tail: T | undefined = undefined
  size = 0

  addFirst(node: T): void {
    if (node.list !== undefined) throw new Error("BUG: member is in a list already")
    node.list = this
    node.previous = undefined
    node.next = this.head
    if (this.head === undefined) this.tail = node
    else this.head.previous = node
    this.head = node
    this.size++
  }

  addLast(node: T): void {
    if (node.list !== undefined) throw new Error("BUG: member is in a list already")
    node.list = this
    node.next = undefined
    node.previous = this.tail
    if (this.tail === undefined) this.head = node
    else this.tail.next = node
    this.tail = node
    this.size++
  }

  /** Adds a member behind another one, or before all if there is none. */
  addAfter(node: T, previous: T | undefined): void {
    if (previous === undefined) return this.addFirst(node)
    if (previous === this.tail) return this.addLast(node)
    if (node.list !== undefined) throw new Error("BUG: member is in a list already")
    if (previous.list !== this) throw new Error("BUG: member is not in this list")
    node.list = this
    node.previous = previous
    node.next = previous.next
    previous.next!.previous = node
    previous.next = node
    this.size++
  }

  /** Takes out the first. */
  removeFirst(): T | undefined {
    const first = this.head
    if (first === undefined) return undefined
    const second = first.next
    this.head = second
    if (second === undefined) this.tail = undefined
    else second.previous = undefined
    first.list = undefined
    first.next = undefined
    this.size--
    return first
  }

  /** Takes a member out, wherever it stands. */
  remove(node: T): void {
    if (node.list !== this) throw new Error("BUG: member is not in this list")
    if (node.previous === undefined) this.head = node.next
    else node.previous.next = node.next
    if (node.next === undefined) this.tail = node.previous
    else node.next.previous = node.previous
    node.list = undefined
    node.previous = undefined
    node.next = undefined
    this.size--
  }

  *[Symbol.iterator](): Generator<T, void> {
    let node = this.head
    while (node !== undefined) {
      const next: T | undefined = node.next
      yield node
      node = next
    }
  }
}
