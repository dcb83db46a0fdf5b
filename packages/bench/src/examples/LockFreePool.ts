import { LockFreePool } from "@effect-pools/lock-free"
import * as Effect from "effect/Effect"

class Buffers extends LockFreePool.Service<Buffers>()("app/Buffers", {
  create: () => new Float64Array(1024),
  reset: (buffer) => {
    buffer.fill(0)
    return true
  },
  scale: { mode: "auto", initial: 4, maximum: 64, chunk: 0 }
}) {}

export const program = Buffers.use((buffer) => Effect.sync(() => buffer.length)).pipe(Effect.provide(Buffers.layer))
