/**
 * What the shop starts with.
 */
export const customers = 200
export const products = 100
/** Of every product but the rare ones, which run out. */
export const stock = 10_000
export const rareProducts = 3
export const rareStock = 20
