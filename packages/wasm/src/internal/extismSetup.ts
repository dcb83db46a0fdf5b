/** From the options of an Extism pool to those of an `InstancePool`. */
import * as InvalidOptions from "@effect-pools/core/InvalidOptions"
import type * as InstancePool from "@effect-pools/instance/InstancePool"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ExtismError from "../ExtismError.ts"
import type { CreateError, ExtismInstance, HostFunctions, ManifestInput, OpenError, Options } from "../ExtismPool.ts"
import * as WasmError from "../WasmError.ts"
import { extismNamespace, type LogLevel, type NamedModule } from "./extismGuest.ts"
import { extismFunctions, withHttp } from "./extismHost.ts"
import { openInstance, type Plan, toError } from "./extismInstance.ts"
import { loadModules, readManifest } from "./extismManifest.ts"
import { checkOptions, settle } from "./extismOptions.ts"
import { openPlugin } from "./extismPlugin.ts"
import { openThread } from "./extismThread.ts"
import { isPromise } from "./isPromise.ts"
import { engine, kindOf } from "./webAssembly.ts"

export const toInstanceOptions = <E, R, ME, MR>(
  options: Options<E, R, ME, MR>,
  fallbackName: string | undefined
): Effect.Effect<InstancePool.Options<ExtismInstance, CreateError<E>, R | Scope.Scope>, OpenError<ME>, MR> =>
  Effect.gen(function* () {
    const checked = yield* InvalidOptions.check(() => checkOptions(options, fallbackName))
    const {
      allowedHosts: _allowedHosts,
      allowedPaths: _allowedPaths,
      callTimeout: _callTimeout,
      config: _config,
      exports: _exports,
      functions = () => ({}),
      manifest: given,
      maxMemoryPages: _maxMemoryPages,
      runInWorker: _runInWorker,
      useWasi: _useWasi,
      ...poolOptions
    } = options
    const pool = checked.name
    const manifest = yield* readManifest(pool, yield* effectOf<ManifestInput, ME, MR>(given))
    const settings = yield* InvalidOptions.check(() => settle(checked, manifest))
    const modules = yield* loadModules(pool, manifest, settings.maxMemoryPages)
    const exports = modules.flatMap(functionsOf)
    const missing = checked.exports.find((name) => !exports.includes(name))
    if (missing !== undefined) {
      const reason = new ExtismError.FunctionNotFound({ pool, function: missing, available: exports })
      return yield* Effect.fail(ExtismError.make(reason))
    }
    const withoutMemory = checked.useWasi ? modules.find((module) => !exportsMemory(module)) : undefined
    if (withoutMemory !== undefined) {
      const problem = `it exports no "memory", which WASI needs`
      const reason = new ExtismError.InvalidPlugin({ pool, module: withoutMemory.name, problem })
      return yield* Effect.fail(ExtismError.make(reason))
    }
    const builtIn = new Map([[extismNamespace, extismFunctions]])
    if (checked.useWasi) builtIn.set("wasi_snapshot_preview1", yield* wasiFunctions)
    const runFork = Effect.runForkWith(yield* Effect.context<never>())
    const { allowedPaths, callTimeout, config } = settings
    const plan: Plan = {
      pool,
      blueprint: {
        modules,
        config,
        allowedPaths,
        useWasi: checked.useWasi,
        limits: {
          all: settings.maxMemoryPages * 65_536,
          variables: settings.maxVariableBytes
        }
      },
      exports,
      callTimeout,
      log: (level, message) => void runFork(Effect.annotateLogs(logs[level](message), "pool", pool))
    }
    const openGuest = settings.runInWorker ? openThread : openPlugin
    const create = Effect.gen(function* () {
      const given = yield* effectOf<HostFunctions, E, R>(functions())
      const all = withHttp(given, pool, settings)
      yield* checkImports(plan, builtIn, all, isPromise(given))
      const guest = yield* Effect.mapError(openGuest(plan, all), (failure) => toError(pool, "start", failure))
      return yield* openInstance(plan, guest)
    })
    return { ...poolOptions, name: pool, create }
  })

const effectOf = <A, E, R>(given: A | Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.isEffect(given) ? (given as Effect.Effect<A, E, R>) : Effect.succeed(given)

const logs: Record<LogLevel, (message: string) => Effect.Effect<void>> = {
  debug: Effect.logDebug,
  info: Effect.logInfo,
  warn: Effect.logWarning,
  error: Effect.logError
}

const functionsOf = ({ module }: NamedModule): ReadonlyArray<string> =>
  engine.Module.exports(module)
    .filter(({ kind }) => kind === "function")
    .map(({ name }) => name)

const exportsMemory = ({ module }: NamedModule): boolean =>
  engine.Module.exports(module).some(({ kind, name }) => kind === "memory" && name === "memory")

/** The functions of WASI that Extism has from Node. */
const wasiFunctions = Effect.promise(async () => {
  const { WASI } = await import("node:wasi")
  return new Set(Object.keys(new WASI({ version: "preview1" }).wasiImport as object))
})

/**
 * Beforehand, as Extism does not clean up after a plugin that the engine can't link, and as the engine would also take what
 * objects inherit: a plugin could import `constructor` from any of them.
 */
const checkImports = (
  { blueprint: { modules }, pool }: Plan,
  builtIn: ReadonlyMap<string, ReadonlySet<string>>,
  functions: HostFunctions,
  isPromised: boolean
): Effect.Effect<void, WasmError.WasmError> => {
  for (const { kind, module, name } of modules.flatMap((named) => engine.Module.imports(named.module))) {
    const isBuiltIn = builtIn.get(module)?.has(name) === true
    if (!isBuiltIn && !(Object.hasOwn(functions, module) && Object.hasOwn(functions[module]!, name))) {
      const problem = "functions has given a promise, where it should give an object or an Effect of one"
      return refuse(
        isPromised
          ? new WasmError.MistypedImport({ pool, module, name, kind, given: "promise", problem })
          : new WasmError.MissingImport({ pool, module, name, kind })
      )
    }
    const given = isBuiltIn ? "function" : kindOf(functions[module]![name])
    if (kind !== "function" || given !== "function") {
      const problem = kind === "function" ? "it is no function" : "a plugin can be given nothing but functions"
      return refuse(new WasmError.MistypedImport({ pool, module, name, kind, given, problem }))
    }
  }
  return Effect.void
}

const refuse = (reason: WasmError.WasmErrorReason): Effect.Effect<never, WasmError.WasmError> =>
  Effect.fail(new WasmError.WasmError({ reason }))
