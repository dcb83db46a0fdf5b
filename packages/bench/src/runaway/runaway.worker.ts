import * as WorkerGuest from "@effect-pools/worker/WorkerGuest"
import * as Effect from "effect/Effect"
import { Runaway } from "./group.ts"

const spin = Effect.sync(() => {
  while (true);
})

WorkerGuest.serve(Runaway, Runaway.toLayer({ Spin: () => spin }))
