import { Resource, ResourcePool } from "@effect-pools/resource"
import * as Effect from "effect/Effect"

interface Socket {
  readonly ask: (question: string) => Effect.Effect<string>
}

declare const connect: Effect.Effect<Socket>

class Sockets extends ResourcePool.Service<Sockets>()("app/Sockets", { max: 200 }) {}

export const program = Sockets.create({ name: "mail", allocate: connect }).pipe(
  Effect.flatMap(Resource.use((socket) => socket.ask("?"))),
  Effect.provide(Sockets.layer)
)
