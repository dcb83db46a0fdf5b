import { ArenaPool, BumpArena } from "@effect-pools/arena"
import * as Effect from "effect/Effect"

class Scratch extends ArenaPool.Service<Scratch>()("app/Scratch", { size: 64 * 1024 }) {}

export const program = Scratch.use((arena) =>
  Effect.map(BumpArena.allocString(arena, "hello"), (bytes) => bytes.length)
).pipe(Effect.provide(Scratch.layer))
