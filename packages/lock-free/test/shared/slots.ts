import { Layout, makeControl, type Shape } from "../../src/internal/sharedLayout.ts"
import { SharedSlots } from "../../src/internal/sharedSlots.ts"

const shape: Shape = { kind: "pool", initial: 0, maximum: 0, chunk: 1, slotBytes: 0, reset: "none" }

/** Slots of which this test plays every thread. */
export const makeSlots = (given: Partial<Shape> & { readonly maximum: number }) => {
  const whole = { ...shape, initial: given.maximum, ...given }
  const control = makeControl(whole)
  const grown: Array<number> = []
  /** The slots as a thread sees them. */
  const thread = (number: number): SharedSlots =>
    new SharedSlots(new Layout(control), number, (slots) => grown.push(slots))
  const first = thread(0)
  first.growTo(0, whole.initial)
  return { control, first, grown, thread, words: new Int32Array(control) }
}

/** Takes until there is none. */
export const takeAll = (slots: SharedSlots): Array<number> => {
  const taken: Array<number> = []
  for (let slot = slots.take(); slot >= 0; slot = slots.take()) taken.push(slot)
  return taken
}
