/** What a member of a {@link Heap} carries: its place, which belongs to the heap; -1 for one that is not in it. */
export interface Placed {
  place: number
}

interface Candidate<T> extends Placed {
  readonly member: T
  readonly at: number
}

/** A binary heap whose members can leave or move from any place. */
export class Heap<T extends Placed> {
  readonly #members: Array<T> = []
  readonly #precedes: (one: T, other: T) => boolean

  constructor(precedes: (one: T, other: T) => boolean) {
    this.#precedes = precedes
  }

  get size(): number {
    return this.#members.length
  }

  get first(): T | undefined {
    return this.#members[0]
  }

  /** Its members in order. It must not change meanwhile. */
  *inOrder(): Generator<T, void> {
    const { first } = this
    if (first === undefined) return
    // Nobody comes before the one above it: those below whoever was last are who may be next.
    const next = new Heap<Candidate<T>>((one, other) => this.#precedes(one.member, other.member))
    next.add({ member: first, at: 0, place: -1 })
    for (let candidate = next.first; candidate !== undefined; candidate = next.first) {
      next.remove(candidate)
      yield candidate.member
      for (const at of [2 * candidate.at + 1, 2 * candidate.at + 2]) {
        const member = this.#members[at]
        if (member !== undefined) next.add({ member, at, place: -1 })
      }
    }
  }

  add(member: T): void {
    this.#members.push(member)
    this.#rise(member, this.#members.length - 1)
  }

  remove(member: T): void {
    const { place } = member
    member.place = -1
    const last = this.#members.pop()!
    if (last !== member) this.#settle(last, place)
  }

  /** To be called when a member has come to precede others, or others it. */
  moved(member: T): void {
    this.#settle(member, member.place)
  }

  #settle(member: T, place: number): void {
    this.#rise(member, place)
    this.#sink(member, member.place)
  }

  #rise(member: T, place: number): void {
    const members = this.#members
    while (place > 0) {
      const above = (place - 1) >> 1
      const parent = members[above]!
      if (!this.#precedes(member, parent)) break
      this.#put(parent, place)
      place = above
    }
    this.#put(member, place)
  }

  #sink(member: T, place: number): void {
    const members = this.#members
    while (true) {
      let below = 2 * place + 1
      if (below >= members.length) break
      if (below + 1 < members.length && this.#precedes(members[below + 1]!, members[below]!)) below++
      const child = members[below]!
      if (!this.#precedes(child, member)) break
      this.#put(child, place)
      place = below
    }
    this.#put(member, place)
  }

  #put(member: T, place: number): void {
    this.#members[place] = member
    member.place = place
  }
}
