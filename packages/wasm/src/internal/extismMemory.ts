/**
 * What the host keeps for a plugin, in blocks and in variables, on one account.
 *
 * Extism has no end for either. Here a call begins without the blocks of those before it, and variables are copies, as in
 * Extism's own runtime.
 */
import type { CallContext } from "@extism/extism"

/** How many bytes there may be. */
export interface MemoryLimits {
  /** Of blocks and variables together. */
  readonly all: number
  /** Of variables, with their names. */
  readonly variables: number
}

/** The plugin asks for more than it may have. */
export class OutOfMemory extends RangeError {
  constructor(what: string) {
    super(`out of memory: ${what}`)
  }
}

/** What a block or a variable costs besides its bytes, about. */
const OVERHEAD = 128

/** Addresses have the number of a block in their upper 16 bits, and become signed on their way through the plugin. */
const MOST_BLOCKS = 2 ** 15 - 1

export class PluginMemory {
  readonly #limits: MemoryLimits
  #used = 0
  /** What each block costs, by its address, unless it is known to be freed. */
  readonly #blocks = new Map<bigint, number>()
  /** How many blocks the call has made: Extism has no number twice. */
  #made = 0
  readonly #variables = new Map<string, Uint8Array>()
  #variableCost = 0

  constructor(limits: MemoryLimits) {
    this.#limits = limits
  }

  /** A call begins: its input is the only block. To the account it is one until the call ends, freed or not. */
  begin(input: Uint8Array): void {
    this.#blocks.clear()
    this.#made = 1
    const cost = input.length + OVERHEAD
    this.#used = this.#variableCost
    this.#check(cost)
    this.#used += cost
  }

  /** How many bytes a new block could have. */
  room(context: CallContext): number {
    if (this.#limits.all === Infinity) return Infinity
    this.#findFreed(context)
    return Math.max(0, this.#limits.all - this.#used - OVERHEAD)
  }

  alloc(context: CallContext, size: bigint): bigint {
    // It has no sign, but comes with one.
    const length = Number(BigInt.asUintN(64, size))
    return this.#add(context, length, () => {
      try {
        return context.alloc(length)
      } catch {
        throw new OutOfMemory(`the engine has no block of ${length} bytes`)
      }
    })
  }

  store(context: CallContext, bytes: Uint8Array): bigint {
    // Extism can't store nothing, nor bytes that are a part of a buffer.
    if (bytes.length === 0) return this.alloc(context, 0n)
    return this.#add(context, bytes.length, () => context.store(Uint8Array.from(bytes)))
  }

  variable(name: string): Uint8Array | undefined {
    return this.#variables.get(name)
  }

  setVariable(context: CallContext, name: string, value: Uint8Array | undefined): void {
    const more = costOf(name, value) - costOf(name, this.#variables.get(name))
    if (this.#variableCost + more > this.#limits.variables) {
      throw new OutOfMemory(`variables of more than ${this.#limits.variables} bytes`)
    }
    this.#reserve(context, more)
    this.#used += more
    this.#variableCost += more
    if (value === undefined) this.#variables.delete(name)
    else this.#variables.set(name, value)
  }

  #add(context: CallContext, length: number, make: () => bigint): bigint {
    if (this.#made === MOST_BLOCKS) throw new OutOfMemory(`more than ${MOST_BLOCKS} blocks in a call`)
    const cost = length + OVERHEAD
    this.#reserve(context, cost)
    const address = make()
    this.#made++
    this.#used += cost
    this.#blocks.set(address, cost)
    return address
  }

  #reserve(context: CallContext, cost: number): void {
    if (this.#used + cost > this.#limits.all) this.#findFreed(context)
    this.#check(cost)
  }

  #check(cost: number): void {
    if (this.#used + cost > this.#limits.all) {
      throw new OutOfMemory(`blocks of more than ${this.#limits.all} bytes`)
    }
  }

  /** Plugins free blocks without a word to us. */
  #findFreed(context: CallContext): void {
    for (const [address, cost] of this.#blocks) {
      if (context.read(address) !== null) continue
      this.#blocks.delete(address)
      this.#used -= cost
    }
  }
}

/** A character of the name has two bytes. */
const costOf = (name: string, value: Uint8Array | undefined): number =>
  value === undefined ? 0 : name.length * 2 + value.length + OVERHEAD
