import * as Effect from "effect/Effect"
import { MemoryLimit, MissingImport, MistypedImport, WasmError, type WasmErrorReason } from "../WasmError.ts"
import type { WasmTrap } from "../WasmTrap.ts"
import { Guest, toTrap } from "./guest.ts"
import { Host, isGuestFunction } from "./host.ts"
import type { Program } from "./program.ts"
import { isPromise } from "./isPromise.ts"
import { engine, type ImportDescriptor, kindOf, pagesOf } from "./webAssembly.ts"

/**
 * Makes an instance.
 *
 * In one step: the engine has no other work to do than to allocate and to run the guest's start, for which its
 * asynchronous form would occupy this thread just as well, but on a promise that can't be called off.
 */
export const instantiate = (program: Program, given: unknown): Effect.Effect<Guest, WasmError | WasmTrap> =>
  Effect.suspend(() => {
    const { imports, module, pool } = program
    if (isPromise(given) && imports[0] !== undefined) {
      const problem = "imports has given a promise, where it should give an object or an Effect of one"
      return Effect.fail(
        new WasmError({ reason: new MistypedImport({ pool, ...imports[0], given: "promise", problem }) })
      )
    }
    const found: Array<unknown> = []
    for (const descriptor of imports) {
      const import_ = find(given, descriptor)
      const problem = refuse(program, descriptor, import_)
      if (problem !== undefined) return Effect.fail(new WasmError({ reason: problem }))
      found.push(import_?.value)
    }
    const host = new Host(program.isPartlyUnseen || found.some(mayBringFunctions))
    const lent = nothing<Record<string, unknown>>()
    for (const [index, { module, name }] of imports.entries()) {
      const group = (lent[module] ??= nothing())
      group[name] = host.lend(found[index])
    }
    try {
      return Effect.succeed(new Guest(pool, new engine.Instance(module, lent).exports, host))
    } catch (error) {
      const reason = isLinkError(error) && !host.hasThrown(error) ? unlinked(program, lent, error) : undefined
      return Effect.fail(reason === undefined ? toTrap(error, host, pool, "start") : new WasmError({ reason }))
    }
  })

/** A global can hold one. */
const mayBringFunctions = (value: unknown): boolean => isGuestFunction(value) || kindOf(value) === "global"

/** Names are the guest's to choose, `__proto__` included. */
const nothing = <A>(): Record<string, A> => Object.create(null) as Record<string, A>

/** Reads an import, once, as the engine would. */
const find = (given: unknown, { kind, module, name }: ImportDescriptor): { readonly value: unknown } | undefined => {
  const group = read(given, module)
  const value = read(group, name)
  // A global can be a reference to anything, and so to `undefined` too.
  return value === undefined && !(kind === "global" && isGroup(group) && name in group) ? undefined : { value }
}

/** A guest that asks for `constructor` is not to get what every object has. */
const read = (from: unknown, name: string): unknown =>
  isGroup(from) && (!(name in Object.prototype) || Object.hasOwn(from, name))
    ? (from as Record<string, unknown>)[name]
    : undefined

const isGroup = (u: unknown): u is object => (typeof u === "object" && u !== null) || typeof u === "function"

const refuse = (
  { maxMemoryPages, pool }: Program,
  { kind, module, name }: ImportDescriptor,
  found: { readonly value: unknown } | undefined
): WasmErrorReason | undefined => {
  if (found === undefined) return new MissingImport({ pool, module, name, kind })
  const { value } = found
  const given = kindOf(value)
  if (!fits(kind, given)) {
    return new MistypedImport({ pool, module, name, kind, given, problem: `it is given ${inWords(given)}` })
  }
  const pages = kind === "memory" && maxMemoryPages !== undefined ? pagesOf(value) : 0
  return pages > (maxMemoryPages ?? 0)
    ? new MemoryLimit({ pool, what: "memory", pages, limit: maxMemoryPages! })
    : undefined
}

/**
 * What fits by its kind, as far as can be told. A function that suspends the guest does not: calls don't wait, and what it
 * throws can't be seen here.
 */
const fits = (kind: string, given: string): boolean => kind === "global" || given === kind

const inWords = (given: string): string => {
  if (given === "suspending") return "a function that suspends the guest, for which calls do not wait"
  return given === "null" || given === "undefined" ? given : `a ${given}`
}

const isLinkError = (error: unknown): error is Error => error instanceof Error && error.name === "LinkError"

/** What the engine alone has found. Engines name the import, each in its own way. */
const unlinked = ({ imports, pool }: Program, lent: Record<string, Record<string, unknown>>, error: Error) => {
  const index = /Import #(\d+)/.exec(error.message)?.[1]
  const found = index === undefined ? imports.find(({ name }) => error.message.includes(name)) : imports[Number(index)]
  const { kind, module, name } = found ?? { kind: "import", module: "?", name: "?" }
  const given = kindOf(lent[module]?.[name])
  return new MistypedImport({ pool, module, name, kind, given, problem: error.message })
}
