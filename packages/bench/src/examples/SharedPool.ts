import { SharedPool } from "@effect-pools/lock-free"
import * as Effect from "effect/Effect"

class Frames extends SharedPool.Service<Frames>()("app/Frames", { slots: 64, slotBytes: 4096, reset: "zero" }) {}

export const program = Frames.use(({ bytes }) => Effect.sync(() => bytes.fill(1).length)).pipe(
  Effect.provide(Frames.layer)
)
