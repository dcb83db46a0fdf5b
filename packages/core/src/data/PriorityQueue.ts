/**
 * Waiters in the order in which they are served: highest priority first, first come first served within a priority.
 *
 * One {@link LinkedList} per priority that somebody waits with. Adding, taking the first and leaving from any place are
 * constant time for a fixed set of priorities; a priority seen for the first time costs a binary search and a splice
 * among the distinct priorities in use.
 *
 * @since 0.1.0
 */
import { type Linked, LinkedList } from "./LinkedList.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Prioritised<T extends Prioritised<T>> extends Linked<T> {
  readonly priority: number
}

interface Level<T extends Linked<T>> {
  readonly priority: number
  readonly members: LinkedList<T>
}

/**
 * @category models
 * @since 0.1.0
 */
export class PriorityQueue<T extends Prioritised<T>> {
  size = 0
  /** Highest priority first. All have members, but for the one last added to. */
  #levels: Array<Level<T>> = []
  /** The level last added to: nearly always the only one, so it is kept when it empties. */
  #recent: Level<T> | undefined = undefined

  /** How many may be served next: all of them. */
  get ready(): number {
    return this.size
  }

  add(node: T): void {
    this.#level(node.priority).members.addLast(node)
    this.size++
  }

  first(): T | undefined {
    if (this.size === 0) return undefined
    const levels = this.#levels
    for (let i = 0; i < levels.length; i++) {
      const head = levels[i]!.members.head
      if (head !== undefined) return head
    }
    return undefined
  }

  takeFirst(): T | undefined {
    const node = this.first()
    if (node !== undefined) this.remove(node)
    return node
  }

  remove(node: T): void {
    const members = node.list!
    members.remove(node)
    this.size--
    if (members.size === 0 && members !== this.#recent!.members) {
      this.#levels.splice(
        this.#levels.findIndex((level) => level.members === members),
        1
      )
    }
  }

  *[Symbol.iterator](): Generator<T, void> {
    for (const level of this.#levels.slice()) yield* level.members
  }

  #level(priority: number): Level<T> {
    if (this.#recent !== undefined && this.#recent.priority === priority) return this.#recent
    const levels = this.#levels
    let low = 0
    let high = levels.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (levels[middle]!.priority > priority) low = middle + 1
      else high = middle
    }
    const found = levels[low]
    let level = found
    if (level === undefined || level.priority !== priority) {
      level = { priority, members: new LinkedList<T>() }
      levels.splice(low, 0, level)
    }
    const previous = this.#recent
    this.#recent = level
    if (previous !== undefined && previous.members.size === 0) levels.splice(levels.indexOf(previous), 1)
    return level
  }
}
