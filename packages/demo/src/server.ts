/**
 * A PostgreSQL server for one run of the demo.
 */
import { fileURLToPath } from "node:url"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import getPort from "get-port"

/**
 * There is no server to talk to.
 */
export class ServerError extends Schema.TaggedError<ServerError>("effect-pools/demo/ServerError")("ServerError", {
  message: Schema.String
}) {}

/**
 * A server to run on: where it is, and whose it is.
 */
export interface Server {
  readonly url: Redacted.Redacted
  readonly isOwn: boolean
}

/**
 * The server that `DATABASE_URL` names; without it, one of our own for as long as the scope is open.
 */
export const open: Effect.Effect<
  Server,
  ServerError | Config.ConfigError | PlatformError,
  Scope.Scope | FileSystem.FileSystem | ChildProcessSpawner
> = Effect.gen(function* () {
  const given = yield* Config.Redacted("DATABASE_URL").pipe(Config.option)
  if (Option.isSome(given)) return { url: given.value, isOwn: false }
  yield* Console.log("Starting PostgreSQL ...")
  return { url: yield* start, isOwn: true }
})

const keeper = fileURLToPath(new URL("./keeper.ts", import.meta.url))

const start = Effect.gen(function* () {
  const folder = yield* makeFolder
  const port = yield* freePort
  const server = yield* ChildProcess.make(process.execPath, [keeper, folder, String(port)], {
    env: { TMPDIR: folder },
    extendEnv: true,
    // An input that never ends before this process does.
    stdin: Stream.never,
    // Longer than the keeper needs for an orderly end.
    forceKillAfter: "10 seconds"
  })
  const url = yield* server.stdout.pipe(Stream.decodeText, Stream.splitLines, Stream.runHead)
  if (Option.isSome(url)) return Redacted.make(url.value)
  const reason = yield* Stream.mkString(Stream.decodeText(server.stderr))
  return yield* new ServerError({ message: `PostgreSQL did not start: ${reason.trim()}` })
})

const makeFolder = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "effect-pools-demo-" })
  // For root, the server runs as another user, who must get through to his part of the folder.
  yield* fs.chmod(folder, 0o711)
  return folder
})

const freePort = Effect.tryPromise({
  try: () => getPort({ host: "127.0.0.1" }),
  catch: (error) => new ServerError({ message: `No free port: ${String(error)}` })
})
