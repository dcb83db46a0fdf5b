import { CAPACITY_AT, faultOf, isShared, Layout, makeControl, type Shape, type SharedKind } from "./sharedLayout.ts"

/** What names a shared structure to another thread. Posting it there shares the memory. */
export interface Memory {
  readonly control: SharedArrayBuffer
  readonly data: SharedArrayBuffer
}

/** New memory of this shape, without slots. The data grow with the slots; what is reserved costs nothing until then. */
export const allocate = (shape: Shape): Memory => ({
  control: makeControl(shape),
  data: new SharedArrayBuffer(0, { maxByteLength: shape.maximum * shape.slotBytes })
})

/** What is wrong with memory that came from elsewhere; `undefined` if it is sound. */
export const faultOfMemory = (memory: Partial<Memory>, kind: SharedKind): string | undefined => {
  const fault = faultOf(memory.control, kind)
  if (fault !== undefined) return fault
  const { maximum, slotBytes, words } = new Layout(memory.control!)
  // Memory comes before the slots in it.
  const needed = Atomics.load(words, CAPACITY_AT) * slotBytes
  const { data } = memory
  if (!isShared(data)) return "it has no memory for slots"
  const isWhole = data.growable && data.maxByteLength === maximum * slotBytes && data.byteLength >= needed
  return isWhole ? undefined : "its memory for slots is of another size"
}

/** Has memory for so many slots. Others may be at it, and be ahead. */
export const growData = (data: SharedArrayBuffer, bytes: number): void => {
  while (data.byteLength < bytes) {
    try {
      data.grow(bytes)
    } catch (error) {
      if (data.byteLength < bytes) throw error
    }
  }
}

/** The bytes of one slot. */
export const viewOf = (data: SharedArrayBuffer, slot: number, slotBytes: number): Uint8Array<SharedArrayBuffer> =>
  new Uint8Array(data, slot * slotBytes, slotBytes)

/** The number of this thread in its process, which is given to no other; `undefined` where there are no such numbers. */
export const ownThread = (): number | undefined => {
  const { process } = globalThis as {
    process?: { getBuiltinModule?: (name: string) => { threadId: number } | undefined }
  }
  return process?.getBuiltinModule?.("node:worker_threads")?.threadId
}
