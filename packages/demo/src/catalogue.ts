/**
 * What the shop starts with.
 */
export const customers = 200
export const products = 100
/** A product costs the first, and as many times the second as its number says; in cents. */
export const basePrice = 100
export const priceStep = 7
/** Of every product but the rare ones, which run out. */
export const stock = 10_000
export const rareProducts = 3
export const rareStock = 20
