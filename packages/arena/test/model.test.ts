import { describe, expect, it } from "@effect/vitest"
import { ArenaError, BumpArena } from "@effect-pools/arena"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { carved, look } from "./support.ts"

const SIZE = 256

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Alignment = Schema.Literals([1, 2, 4, 8, 16, 64])

const Command = Schema.TaggedUnion({
  Alloc: { size: upTo(48), align: Alignment },
  AllocMuch: { size: upTo(2 * SIZE), align: Alignment },
  Text: { text: Schema.String },
  Grow: { which: upTo(1000), by: upTo(48), align: Alignment },
  Mark: {},
  Rewind: { which: upTo(1000) },
  Enter: {},
  Leave: { fails: Schema.Boolean },
  Reset: {},
  Misuse: { which: upTo(1000) }
})
type Command = typeof Command.Type

const commands = Arbitrary.array(Arbitrary.schema(Command), { maxLength: 120 })

/** One allocation, filled with bytes of its own. */
interface Allocation {
  readonly offset: number
  readonly size: number
  readonly chunk: number
  /** Within its chunk. */
  readonly start: number
  readonly stamp: number
}

interface Position {
  readonly chunk: number
  readonly at: number
}

/** A memory of the plainest kind: where the next byte goes, and everything that is live. */
class Model {
  readonly chains: boolean
  live: Array<Allocation> = []
  marks: Array<{ readonly mark: number; readonly position: Position; readonly live: number }> = []
  deadMarks: Array<number> = []
  /** Where the scopes begin that are not over, and how many marks and allocations came before. */
  scopes: Array<{ readonly position: Position; readonly marks: number; readonly live: number }> = []
  position: Position = { chunk: 0, at: 0 }
  stamp = 0

  constructor(chains: boolean) {
    this.chains = chains
  }

  /** Where an allocation has to lie, if it fits. */
  place(size: number, align: number): Position | undefined {
    const { at, chunk } = this.position
    const start = Math.ceil(at / align) * align
    if (start + size <= SIZE) return { chunk, at: start }
    return this.chains && size <= SIZE ? { chunk: chunk + 1, at: 0 } : undefined
  }

  add(offset: number, size: number, place: Position): Allocation {
    this.stamp = (this.stamp % 250) + 1
    const allocation = { offset, size, chunk: place.chunk, start: place.at, stamp: this.stamp }
    this.live.push(allocation)
    this.position = { chunk: place.chunk, at: place.at + size }
    return allocation
  }

  /** Before this, nothing grows where it lies. */
  get marked(): Position {
    const mark = this.marks.at(-1)?.position ?? { chunk: 0, at: 0 }
    const scope = this.scopes.at(-1)?.position ?? mark
    return scope.chunk > mark.chunk || (scope.chunk === mark.chunk && scope.at > mark.at) ? scope : mark
  }

  get allocated(): number {
    return this.position.chunk * SIZE + this.position.at
  }
}

/** What a scope's body fails with. */
const LEFT = new Error("left")

const expectMisuse = (arena: BumpArena.BumpArena, call: () => unknown) => {
  const before = look(arena)
  expect(call).toThrow(ArenaError.ArenaMisuse)
  expect(look(arena)).toEqual(before)
}

const behaves = (
  commands: ReadonlyArray<Command>,
  options: { readonly chains: boolean; readonly checked: boolean }
) => {
  const memory = carved(64)
  const arena = BumpArena.makeUnsafe({
    size: SIZE,
    backing: memory.backing,
    overflow: options.chains ? "chain" : "fail",
    checked: options.checked
  })
  const model = new Model(options.chains)
  const other = BumpArena.makeUnsafe({ size: SIZE })
  BumpArena.allocUnsafe(other, 1)

  const fill = ({ offset, size, stamp }: Allocation) => BumpArena.bytesUnsafe(arena, offset, size).fill(stamp)

  const alloc = (size: number, align: number): void => {
    const place = model.place(size, align)
    const offset = BumpArena.allocUnsafe(arena, size, align)
    if (size === 0) {
      expect(offset).toBeGreaterThanOrEqual(0)
      expect(offset % align).toBe(0)
    } else if (place === undefined) {
      expect(offset).toBe(-1)
    } else {
      expect(offset % align).toBe(0)
      fill(model.add(offset, size, place))
    }
  }

  const text = (text: string): void => {
    const encoded = new TextEncoder().encode(text)
    const place = model.place(encoded.length, 1)
    if (place === undefined) {
      expect(() => BumpArena.allocStringUnsafe(arena, text)).toThrow(ArenaError.ArenaExhausted)
      return
    }
    const bytes = BumpArena.allocStringUnsafe(arena, text)
    expect([...bytes]).toEqual([...encoded])
    if (bytes.length === 0) return
    // Its offset is known in the first chunk alone.
    if (place.chunk === 0) fill(model.add(place.at, bytes.length, place))
    else model.position = { chunk: place.chunk, at: place.at + bytes.length }
  }

  const grow = (which: number, by: number, align: number): void => {
    const index = which % model.live.length
    const old = model.live[index]!
    const size = old.size + by
    const isLast = old.chunk === model.position.chunk && old.start + old.size === model.position.at
    const { marked } = model
    const isAfterMark = marked.chunk < old.chunk || marked.at <= old.start
    const isAligned = old.start % align === 0
    const offset = BumpArena.growUnsafe(arena, old.offset, old.size, size, align)
    if (by === 0 && isAligned) {
      expect(offset).toBe(old.offset)
      return
    }
    if (isLast && isAfterMark && isAligned && old.start + size <= SIZE) {
      expect(offset).toBe(old.offset)
      model.live.splice(index, 1)
      fill(model.add(offset, size, { chunk: old.chunk, at: old.start }))
      return
    }
    const place = model.place(size, align)
    if (place === undefined) {
      expect(offset).toBe(-1)
      return
    }
    expect(offset % align).toBe(0)
    expect([...BumpArena.bytesUnsafe(arena, offset, old.size)]).toEqual(Array<number>(old.size).fill(old.stamp))
    fill(model.add(offset, size, place))
  }

  const mark = (): void => {
    const mark = BumpArena.markUnsafe(arena)
    const { at, chunk } = model.position
    const top = model.marks.at(-1)
    if (top?.position.chunk === chunk && top.position.at === at) expect(mark).toBe(top.mark)
    else model.marks.push({ mark, position: model.position, live: model.live.length })
  }

  const rewind = (which: number): void => {
    // What came before a scope is not for its body to undo.
    const first = model.scopes.at(-1)?.marks ?? 0
    if (first === model.marks.length) return
    const index = first + (which % (model.marks.length - first))
    const { live, mark, position } = model.marks[index]!
    BumpArena.rewindUnsafe(arena, mark)
    model.deadMarks.push(...model.marks.splice(index + 1).map(({ mark }) => mark))
    model.live = model.live.slice(0, live)
    model.position = position
  }

  const reset = (): void => {
    BumpArena.resetUnsafe(arena)
    model.deadMarks.push(...model.marks.splice(0).map(({ mark }) => mark))
    model.live = []
    model.position = { chunk: 0, at: 0 }
  }

  const misuses: ReadonlyArray<() => unknown> = [
    ...[-1, NaN, 0.5, Infinity, -Infinity, 2 ** 53, -(2 ** 31)].flatMap((bad) => [
      () => BumpArena.allocUnsafe(arena, bad),
      () => BumpArena.allocUnsafe(arena, 1, bad),
      () => BumpArena.allocBytesUnsafe(arena, bad),
      () => BumpArena.allocArrayUnsafe(arena, Float64Array, bad),
      () => BumpArena.bytesUnsafe(arena, bad, 1),
      () => BumpArena.bytesUnsafe(arena, 0, bad),
      () => BumpArena.growUnsafe(arena, bad, 0, 1),
      () => BumpArena.rewindUnsafe(arena, bad)
    ]),
    () => BumpArena.allocUnsafe(arena, 1, 0),
    () => BumpArena.allocUnsafe(arena, 1, 3),
    () => BumpArena.rewindUnsafe(arena, BumpArena.markUnsafe(other)),
    () => BumpArena.bytesUnsafe(arena, arena.allocated, SIZE + 1),
    () => BumpArena.growBytesUnsafe(arena, new Uint8Array(4), 8),
    () => BumpArena.growBytesUnsafe(arena, BumpArena.allocBytesUnsafe(other, 0), 8)
  ]

  /** Runs what comes until the scope is left, in a scope. */
  const scope = (): void => {
    const { live, marks, position } = model
    const begun = { position, marks: marks.length, live: live.length }
    model.scopes.push(begun)
    try {
      BumpArena.scopeUnsafe(arena, run)
    } catch (error) {
      if (error !== LEFT) throw error
    }
    model.scopes.pop()
    // A mark that was taken where the scope began stays.
    const isHere = ({ position: { at, chunk } }: (typeof marks)[number]) =>
      chunk === position.chunk && at === position.at
    const left = model.marks.slice(begun.marks)
    model.marks = [...model.marks.slice(0, begun.marks), ...left.filter(isHere)]
    model.deadMarks.push(...left.filter((mark) => !isHere(mark)).map(({ mark }) => mark))
    model.live = model.live.slice(0, begun.live)
    model.position = position
  }

  const rest = commands[Symbol.iterator]()
  const run = (): void => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) {
      const command = next.value
      if (command._tag === "Leave" && model.scopes.length > 0) {
        if (command.fails) throw LEFT
        return
      }
      step(command)
    }
  }

  const step = (command: Command): void => {
    switch (command._tag) {
      case "Alloc":
      case "AllocMuch":
        alloc(command.size, command.align)
        break
      case "Text":
        text(command.text)
        break
      case "Grow":
        if (model.live.length > 0) grow(command.which, command.by, command.align)
        break
      case "Mark":
        mark()
        break
      case "Rewind":
        if (model.marks.length > 0) rewind(command.which)
        break
      case "Enter":
        scope()
        break
      case "Leave":
        break
      case "Reset":
        if (model.scopes.length === 0) reset()
        break
      case "Misuse":
        expectMisuse(arena, misuses[command.which % misuses.length]!)
        for (const dead of model.deadMarks) {
          if (model.marks.every(({ mark }) => mark !== dead)) {
            expectMisuse(arena, () => BumpArena.rewindUnsafe(arena, dead))
          }
        }
        break
    }
    expect(arena.allocated).toBe(model.allocated)
    expect(arena.allocated + arena.remaining).toBe(arena.capacity)
    // What overlapped, or was written to by another allocation, would have lost its stamp.
    for (const { offset, size, stamp } of model.live) {
      const bytes = BumpArena.bytesUnsafe(arena, offset, size)
      if (bytes.some((byte) => byte !== stamp)) expect.fail(`${size} bytes at ${offset} are not what was written`)
    }
  }
  run()
  expect(memory.isIntact()).toBe(true)
  arena[Symbol.dispose]()
  expect(memory.destroyed).toBe(memory.reserved)
}

describe("an arena behaves as a cursor over a list of bytes", () => {
  const cases = [
    { chains: false, checked: false },
    { chains: true, checked: false },
    { chains: false, checked: true },
    { chains: true, checked: true }
  ]
  for (const options of cases) {
    const kind = `${options.chains ? "chaining" : "of one piece"}${options.checked ? ", in checked mode" : ""}`
    it.prop(kind, { commands }, ({ commands }) => behaves(commands, options), {
      timeout: 30_000,
      arbitrary: { runs: 150, size: 50 }
    })
  }
})
