/**
 * Carriers as processes, which are started again whenever they end.
 */
import { rm } from "node:fs/promises"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessHandle, ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CarrierGone } from "./line.ts"

export interface Carrier {
  readonly name: string
  /** Where its socket is. */
  readonly path: Effect.Effect<string, CarrierGone>
  /** Ends its process, without a warning. */
  readonly kill: Effect.Effect<void>
}

const program = fileURLToPath(new URL("./carrier.ts", import.meta.url))

/** Runs a carrier as long as the scope is open. It can be asked when it has a path. */
export const open = (name: string): Effect.Effect<Carrier, never, Scope.Scope | ChildProcessSpawner> =>
  Effect.gen(function* () {
    let path: string | undefined
    let handle: ChildProcessHandle | undefined

    const life = Effect.scoped(
      Effect.gen(function* () {
        const child = yield* ChildProcess.make(process.execPath, [program, name], {
          // An input that never ends before this process does.
          stdin: Stream.never,
          forceKillAfter: "5 seconds"
        })
        const said = yield* child.stdout.pipe(Stream.decodeText, Stream.splitLines, Stream.runHead)
        if (Option.isNone(said)) return yield* new CarrierGone({ carrier: name })
        const own = said.value
        yield* Effect.addFinalizer(() => Effect.promise(() => rm(dirname(own), { recursive: true, force: true })))
        return { child, path: own }
      }).pipe(
        Effect.tap((started) =>
          Effect.sync(() => {
            handle = started.child
            path = started.path
          })
        ),
        Effect.flatMap(({ child }) => Effect.exit(child.exitCode)),
        Effect.ensuring(
          Effect.sync(() => {
            handle = path = undefined
          })
        )
      )
    )
    yield* Effect.forkScoped(Effect.forever(Effect.orDie(life)))
    const current = Effect.suspend(() =>
      path === undefined ? Effect.fail(new CarrierGone({ carrier: name })) : Effect.succeed(path)
    )
    return {
      name,
      path: current,
      kill: Effect.suspend(() =>
        handle === undefined ? Effect.void : Effect.ignore(handle.kill({ killSignal: "SIGKILL" }))
      )
    }
  })
