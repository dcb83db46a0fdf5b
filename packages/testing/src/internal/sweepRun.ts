import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Definition, Place, Stage } from "../InterruptSweep.ts"
import { World } from "./world.ts"

/** How one run went. */
export interface Run {
  /** How many steps, and how many primitives of its own, the program took to its end. */
  readonly steps: number
  readonly primitives: number
  readonly hasNeighbours: boolean
  /** What was wrong during the run and afterwards. */
  readonly leaks: ReadonlyArray<string>
}

type AnyFiber = Fiber.Fiber<unknown, unknown>

const hasEnded = (fiber: AnyFiber): boolean => fiber.pollUnsafe() !== undefined

/** Runs a program once, disturbed at `place`, and looks at what it leaves. */
export const play = async <S>(definition: Definition<S>, place: Place): Promise<Run> => {
  const world = new World(place.budget)
  const { runtime } = world
  const within = definition.within ?? 10_000
  const rest = () => runtime.run(() => false, runtime.now + within)
  const leaks: Array<string> = []
  const scope = Scope.makeUnsafe()
  const neighbours: Array<AnyFiber> = []
  let program: AnyFiber | undefined
  let closer: AnyFiber | undefined
  const close = Scope.close(scope, Exit.void)
  const keep = <A, E>(fiber: Fiber.Fiber<A, E>): Fiber.Fiber<A, E> => {
    neighbours.push(fiber)
    return fiber
  }
  const stage: Stage = {
    runtime,
    beside: (effect) => keep(world.fork(effect)),
    start: (effect) => keep(world.start(effect)),
    interrupt: () => program?.interruptUnsafe(),
    close: () => void (closer ??= world.start(close)),
    note: (leak) => void leaks.push(leak)
  }
  const prepare = definition.setup?.(stage) ?? (Effect.void as Effect.Effect<S>)
  const setup = await world.finish(Scope.provide(prepare, scope))

  const target = Effect.isEffect(definition.program) ? definition.program : definition.program(setup, stage)
  const fiber = world.fork(Effect.scoped(target))
  program = fiber
  const first = runtime.steps
  let steps: number | undefined
  let isReached = place.step === undefined && place.primitive === undefined
  const disturb = () => {
    if (hasEnded(fiber)) return
    isReached = true
    if (definition.disturb === undefined) fiber.interruptUnsafe()
    else definition.disturb(setup, stage)
  }
  const stopWatching = runtime.watch(fiber, (primitives) => {
    if (primitives === place.primitive) disturb()
  })
  const due: Array<{ readonly step: number; readonly act: () => void }> = []
  if (place.step !== undefined) due.push({ step: place.step, act: disturb })
  if (place.second !== undefined) {
    const { after, what } = place.second
    const start = place.step ?? 0
    if (what === "interruptCloser") due.push({ step: start, act: () => (closer = world.fork(close)) })
    const act = {
      close: stage.close,
      interruptCloser: () => closer?.interruptUnsafe(),
      interruptNeighbour: () => neighbours[after % neighbours.length]?.interruptUnsafe()
    }[what]
    due.push({ step: start + after, act })
  }
  await runtime.run(() => {
    const step = runtime.steps - first
    if (hasEnded(fiber)) steps ??= step
    while (due.length > 0 && due[0]!.step <= step) due.shift()!.act()
    return steps !== undefined && due.length === 0
  }, runtime.now + within)
  const primitives = stopWatching()
  for (const { act } of due) act()
  await rest()
  if (!isReached) leaks.push("the program does not get here: it does not take the same steps each time")
  if (!hasEnded(fiber)) leaks.push("the program does not end")
  if (neighbours.some((neighbour) => !hasEnded(neighbour))) leaks.push("a fiber beside the program does not end")

  if (closer === undefined) {
    for (const wrong of world.inUse()) leaks.push(`at rest: ${wrong}`)
    if (definition.audit !== undefined) {
      leaks.push(...(await world.finish(definition.audit(setup, stage))))
      await rest()
      for (const wrong of world.inUse()) leaks.push(`after the audit: ${wrong}`)
    }
  }
  // One that was interrupted before it began has closed nothing.
  const closers = [closer ?? world.fork(close), world.fork(close)]
  await rest()
  if (!closers.every(hasEnded)) leaks.push("closing does not end")
  for (const wrong of definition.closed?.(setup, stage) ?? []) leaks.push(`closed: ${wrong}`)
  for (const wrong of world.leftovers()) leaks.push(`closed: ${wrong}`)
  return { steps: steps ?? runtime.steps - first, primitives, hasNeighbours: neighbours.length > 0, leaks }
}
