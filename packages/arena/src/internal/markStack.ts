/** Numbers for marks: no two of this thread are the same until two thousand million were taken in between. */
let lastMark = 0

/**
 * The marks of one arena that can be rewound to, lowest position first. A mark is a number, so that taking one allocates
 * nothing; that it is found here is what tells an arena's own mark from any other number.
 */
export class MarkStack {
  readonly #marks: Array<number> = []
  readonly #positions: Array<number> = []
  #depth = 0

  /** The highest marked position, or 0. */
  get top(): number {
    return this.#depth === 0 ? 0 : this.#positions[this.#depth - 1]!
  }

  /** Marks a position that is not below `top`. The same position has the same mark. */
  push(position: number): number {
    const last = this.#depth - 1
    if (last >= 0 && this.#positions[last] === position) return this.#marks[last]!
    lastMark = (lastMark + 1) & 0x7fff_ffff
    this.#marks[this.#depth] = lastMark
    this.#positions[this.#depth] = position
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
