/** Of how many things that have ended something is remembered. */
const REMEMBERED = 100

/** The latest values by key: what is older is forgotten. */
export class Recent<A> {
  readonly #values = new Map<number, A>()

  get(key: number): A | undefined {
    return this.#values.get(key)
  }

  set(key: number, value: A): void {
    this.#values.delete(key)
    this.#values.set(key, value)
    if (this.#values.size > REMEMBERED) this.#values.delete(this.#values.keys().next().value!)
  }
}
