/**
 * Positions are kept below 2³¹, with room for the largest alignment, so that the arithmetic of an allocation is that of
 * 32-bit integers.
 */
export const MAX_ALIGNMENT = 65_536

/** The largest arena, with everything that it chains. */
export const MAX_SIZE = 2 ** 31 - MAX_ALIGNMENT

/** What is allocated without an alignment of its own fits every typed array. */
export const DEFAULT_ALIGNMENT = 8

export const isAlignment = (align: number): boolean =>
  typeof align === "number" &&
  (align | 0) === align &&
  align > 0 &&
  align <= MAX_ALIGNMENT &&
  (align & (align - 1)) === 0

export const isSize = (size: number): boolean => Number.isSafeInteger(size) && size >= 0

export const alignUp = (position: number, align: number): number => (position + (align - 1)) & -align

export const show = (value: unknown): string =>
  typeof value === "number" ? String(value) : value === null ? "null" : `a value of type ${typeof value}`
