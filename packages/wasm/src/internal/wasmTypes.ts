import { type Reader, Unreadable } from "./wasmBinary.ts"

/**
 * Whether a section of types has structs or arrays. Nothing limits them: the engine takes memory for them beyond the heap
 * that a thread may have, and a thread that makes them without end can't be ended.
 */
export const hasObjects = (section: Reader): boolean => {
  const count = section.size()
  for (let n = 0; n < count; n++) if (isOrHasObject(section)) return true
  return false
}

const GROUP = 0x4e
const FINAL = 0x4f
const OPEN = 0x50
const ARRAY = 0x5e
const STRUCT = 0x5f
const FUNCTION = 0x60

const isOrHasObject = (section: Reader): boolean => {
  const form = section.byte()
  if (form !== GROUP) return isObject(form, section)
  const count = section.size()
  for (let n = 0; n < count; n++) if (isObject(section.byte(), section)) return true
  return false
}

const isObject = (form: number, section: Reader): boolean => {
  switch (form) {
    case ARRAY:
    case STRUCT:
      return true
    case FUNCTION:
      valueTypes(section)
      valueTypes(section)
      return false
    case FINAL:
    case OPEN: {
      const supertypes = section.size()
      for (let n = 0; n < supertypes; n++) section.unsigned(32)
      const own = section.byte()
      if (own === FINAL || own === OPEN) throw new Unreadable()
      return isObject(own, section)
    }
    default:
      throw new Unreadable()
  }
}

const valueTypes = (section: Reader): void => {
  const count = section.size()
  for (let n = 0; n < count; n++) valueType(section)
}

/** References have a type behind them: a number with a sign, whose end is found just as well. All else is a byte. */
export const valueType = (section: Reader): void => {
  const type = section.byte()
  if (type === 0x63 || type === 0x64) section.unsigned(64)
}
