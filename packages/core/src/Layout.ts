/**
 * Sees to it that instances of a class with many fields have them at hand. For those who build pools.
 *
 * V8 finds out from the first seven instances of a class how much room for fields each is to have. If garbage is collected
 * when all of those made so far are gone, it forgets what it knows, and settles for none: then all later instances
 * keep their fields elsewhere, those of large classes in a hash table. A program that opens and closes one pool after the
 * other can get there, and every lease of its later pools then takes more than twice as long.
 *
 * @since 0.1.0
 */

/** One more than V8 waits for. */
const ENOUGH = 8

const settled = new WeakSet<object>()

/**
 * Makes the first eight instances of a class together, before the first that is used. `make` must do nothing but construct
 * one; it is not called again for the same class.
 *
 * @category operations
 * @since 0.1.0
 */
export const settle = (constructor: object, make: () => unknown): void => {
  if (settled.has(constructor)) return
  settled.add(constructor)
  for (let n = 0; n < ENOUGH; n++) make()
}

/**
 * As {@link settle}, and makes one that is used.
 *
 * @category operations
 * @since 0.1.0
 */
export const make = <A>(constructor: object, make: () => A): A => {
  settle(constructor, make)
  return make()
}
