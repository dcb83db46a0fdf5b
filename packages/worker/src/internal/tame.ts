import { inWords } from "./inWords.ts"

/** How much is kept of what a worker has thrown. */
const MOST = { values: 1000, characters: 10_000 }

/**
 * What a worker has thrown, as a small tree: whoever writes it to a log would otherwise be at it for as long as the worker
 * likes. Forty arrays, each of which holds the one before it twice, are a terabyte of text.
 */
export const tame = (thrown: unknown): unknown => {
  let left = MOST.values
  const seen = new Set<object>()

  const copy = (value: unknown): unknown => {
    left--
    if (typeof value === "string") return shorten(value)
    if (typeof value !== "object" || value === null) return value
    if (seen.has(value)) return "[seen before]"
    seen.add(value)
    if (Array.isArray(value)) return copyArray(value)
    if (value instanceof Error) return copyError(value)
    const isPlain = Object.getPrototypeOf(value) === Object.prototype
    return isPlain ? copyProperties(value, {}) : shorten(inWords(value))
  }

  const copyArray = (array: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
    const copied: Array<unknown> = []
    for (let index = 0; index < array.length && left > 0; index++) copied.push(copy(array[index]))
    return copied
  }

  // Of the same class. What the worker has made of the texts of its error is not to be trusted to be text.
  const copyError = (error: Error): object => {
    const copied = copyProperties(error, Object.setPrototypeOf(new Error(), Object.getPrototypeOf(error)))
    for (const field of ["name", "message", "stack"] as const) {
      const text = read(error, field)
      if (typeof text !== "string" && text !== undefined) define(copied, field, shorten(inWords(text)), false)
    }
    return copied
  }

  const copyProperties = (from: object, to: object): object => {
    for (const field of Object.getOwnPropertyNames(from)) {
      if (left <= 0) break
      const isEnumerable = Object.prototype.propertyIsEnumerable.call(from, field)
      define(to, field, copy(read(from, field)), isEnumerable)
    }
    return to
  }

  return copy(thrown)
}

/** The stack of an error may be put together only when it is read, from texts that are none. */
const read = (from: object, field: string): unknown => {
  try {
    return (from as Record<string, unknown>)[field]
  } catch {
    return "can't be read"
  }
}

const define = (object: object, field: string, value: unknown, enumerable: boolean): void => {
  Object.defineProperty(object, field, { value, enumerable, writable: true, configurable: true })
}

const shorten = (text: string): string => (text.length > MOST.characters ? `${text.slice(0, MOST.characters)}…` : text)
