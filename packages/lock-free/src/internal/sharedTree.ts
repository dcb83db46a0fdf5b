import type { Level } from "./sharedLayout.ts"

/**
 * Where free slots may be found: a tree of bits, 32 to a word. A bit of the lowest level speaks of a slot, one further up
 * of a word below it.
 *
 * A bit that is set promises nothing. One that is not set says that there is nothing below, unless a thread is between two
 * steps of setting it. Such a thread may never take the second: {@link SharedTree.repair} finds what it has hidden.
 */
export class SharedTree {
  readonly #words: Int32Array
  readonly #levels: ReadonlyArray<Level>
  /** Where this thread begins to look, so that threads do not meet. */
  readonly #home: number

  constructor(words: Int32Array, levels: ReadonlyArray<Level>, home: number) {
    this.#words = words
    this.#levels = levels
    this.#home = home
  }

  set(index: number): void {
    this.#set(0, index)
  }

  /** Sets a bit and those above it. Whoever makes a word other than 0 sees to the bit above. */
  #set(level: number, index: number): void {
    const word = index >>> 5
    const before = Atomics.or(this.#words, this.#levels[level]!.at + word, 1 << (index & 31))
    if (before === 0 && level + 1 < this.#levels.length) this.#set(level + 1, word)
  }

  /** Sets the bits from `from` up to, but not with, `to`. */
  setRange(from: number, to: number): void {
    for (let index = from; index < to;) {
      const word = index >>> 5
      const end = Math.min(to, (word + 1) * 32)
      const bits = end - index === 32 ? -1 : ((1 << (end - index)) - 1) << (index & 31)
      const before = Atomics.or(this.#words, this.#levels[0]!.at + word, bits)
      if (before === 0 && this.#levels.length > 1) this.#set(1, word)
      index = end
    }
  }

  /** Finds a bit that is set and clears it: the index is the caller's to look at, and nobody else's. -1 if there is none. */
  takeOne(): number {
    search: while (true) {
      let word = 0
      for (let level = this.#levels.length - 1; level >= 0; level--) {
        const index = this.#pick(level, word)
        if (index < 0) {
          if (level === this.#levels.length - 1) return -1
          this.#clearAbove(level, word)
          continue search
        }
        word = index
      }
      const bit = 1 << (word & 31)
      if ((Atomics.and(this.#words, this.#levels[0]!.at + (word >>> 5), ~bit) & bit) !== 0) return word
    }
  }

  /** The index of a bit that is set in a word, at or after this thread's own if there is one; -1 if there is none. */
  #pick(level: number, word: number): number {
    const bits = Atomics.load(this.#words, this.#levels[level]!.at + word)
    if (bits === 0) return -1
    const home = this.#home >>> (5 * level)
    const rest = home >>> 5 === word ? bits & (-1 << (home & 31)) : bits
    const chosen = rest === 0 ? bits : rest
    return (word << 5) + (31 - Math.clz32(chosen & -chosen))
  }

  /** A word was found to be 0: clears the bit above, and sets it again if it is not 0 any more. */
  #clearAbove(level: number, word: number): void {
    Atomics.and(this.#words, this.#levels[level + 1]!.at + (word >>> 5), ~(1 << (word & 31)))
    if (Atomics.load(this.#words, this.#levels[level]!.at + word) !== 0) this.#set(level + 1, word)
  }

  isSet(index: number): boolean {
    return (Atomics.load(this.#words, this.#levels[0]!.at + (index >>> 5)) & (1 << (index & 31))) !== 0
  }

  /**
   * Sets all bits above words that are not 0: threads that have been stopped between two steps, or are no more, may have
   * left some out. Answers whether there was any such word.
   */
  repair(): boolean {
    let isAny = false
    for (let level = 0; level + 1 < this.#levels.length; level++) {
      const { at, words } = this.#levels[level]!
      for (let word = 0; word < words; word++) {
        if (Atomics.load(this.#words, at + word) === 0) continue
        this.#set(level + 1, word)
        isAny = true
      }
    }
    return isAny
  }
}
