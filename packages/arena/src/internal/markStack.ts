/** Numbers for marks: no two of this thread are the same until two thousand million were taken in between. */
let lastMark = 0

/** In place of a number of scopes: somebody has this mark, and may rewind to it at any time. */
const TAKEN = -1

/**
 * The marks of one arena that can be rewound to, lowest position first. A mark is a number, so that taking one allocates
 * nothing; that it is found here is what tells an arena's own mark from any other number.
 */
export class MarkStack {
  readonly #marks: Array<number> = []
  readonly #positions: Array<number> = []
  /** How many scopes that are not over begin at each mark, or `TAKEN`. */
  readonly #scopes: Array<number> = []
  #depth = 0

  /** The highest marked position, or 0. */
  get top(): number {
    return this.#depth === 0 ? 0 : this.#positions[this.#depth - 1]!
  }

  /** Marks a position that is not below `top`. The same position has the same mark. */
  push(position: number): number {
    const mark = this.#at(position)
    this.#scopes[this.#depth - 1] = TAKEN
    return mark
  }

  /** As `push`, for a scope: its mark is gone when the scopes that begin there are over, unless it was taken as well. */
  enter(position: number): number {
    const mark = this.#at(position)
    const last = this.#depth - 1
    if (this.#scopes[last] !== TAKEN) this.#scopes[last]!++
    return mark
  }

  /** A scope is over that was rewound to its beginning, which is the last mark. */
  leave(): void {
    const last = this.#depth - 1
    if (this.#scopes[last] !== TAKEN && --this.#scopes[last]! === 0) this.#depth = last
  }

  #at(position: number): number {
    const last = this.#depth - 1
    if (last >= 0 && this.#positions[last] === position) return this.#marks[last]!
    lastMark = (lastMark + 1) & 0x7fff_ffff
    this.#marks[this.#depth] = lastMark
    this.#positions[this.#depth] = position
    this.#scopes[this.#depth] = 0
    this.#depth++
    return lastMark
  }

  has(mark: number): boolean {
    return this.#find(mark) >= 0
  }

  /** The position of a mark, which with those below it stays; all above are gone. −1 for a mark that is not here. */
  rewind(mark: number): number {
    const at = this.#find(mark)
    if (at < 0) return -1
    this.#depth = at + 1
    return this.#positions[at]!
  }

  clear(): void {
    this.#depth = 0
  }

  /** From the top: it is nearly always the last one that is looked for. */
  #find(mark: number): number {
    let at = this.#depth - 1
    while (at >= 0 && this.#marks[at] !== mark) at--
    return at
  }
}
