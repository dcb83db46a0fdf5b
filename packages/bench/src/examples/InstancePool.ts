import { InstancePool } from "@effect-pools/instance"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

interface Plugin {
  readonly call: Effect.Effect<string>
}

declare const start: Effect.Effect<Plugin, never, Scope.Scope>

class Plugins extends InstancePool.Service<Plugins>()("app/Plugins", { create: start, max: 4, prepare: 1 }) {}

export const program = Plugins.use((plugin) => plugin.call).pipe(Effect.provide(Plugins.layer))
