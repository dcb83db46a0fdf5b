/**
 * `pnpm demo`: a shop on a pool of connections to a real PostgreSQL, under load and under faults.
 *
 * Exits with 0 if all invariants held, else with 1; with 130 when it was interrupted, by SIGINT, SIGTERM or SIGHUP.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { run } from "./command.ts"

// When the terminal is closed, everything else is closed in good order, whether or not anybody hears of it.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})
process.on("SIGHUP", () => process.emit("SIGINT"))

NodeRuntime.runMain(Effect.provide(run(process.argv.slice(2)), NodeServices.layer))
