import { assert, describe, it } from "@effect/vitest"
import { InvalidOptions } from "@effect-pools/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { randomBytes } from "node:crypto"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { existsSync } from "node:fs"
import type { AddressInfo, Server } from "node:net"
import { dirname } from "node:path"
import { FaultProxy } from "../src/index.ts"
import { Relay } from "../src/internal/faultProxyRelay.ts"
import { type Address, countSleeps, dial, eventually, type Peer, startServer, temporaryFolder } from "./sockets.ts"

const IN_FLIGHT = 256 * 1024

/** For tests of many bytes, on a machine that has other work as well. */
const heavy = { timeout: 30_000 }

type Proxy = FaultProxy.FaultProxy<any>

const makeProxy = (kind: "TCP" | "Unix", upstream: Address): Effect.Effect<Proxy, unknown, Scope.Scope> =>
  FaultProxy.make({ upstream, listen: kind === "TCP" ? {} : "unix" })

/** A server, a proxy before it, and a way to connect. */
const setUp = (kind: "TCP" | "Unix", options: { readonly isEcho?: boolean } = {}) =>
  Effect.gen(function* () {
    const server = yield* startServer(kind, options)
    const proxy = yield* makeProxy(kind, server.address)
    /** A connection through the proxy, from both its ends. */
    const connect = Effect.gen(function* () {
      const before = server.peers.length
      const client = yield* dial(proxy.address as Address)
      yield* eventually(() => server.peers.length > before)
      return { client, server: server.peers[before]! }
    })
    return { server, proxy, connect }
  })

/** What the proxy counts, read by the way. */
const now = (proxy: Proxy) => Effect.runSync(FaultProxy.stats(proxy))

/** How many sockets of which kind this process has open. */
const openSockets = (): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) {
    if (/TCP|Pipe/.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

const isEqual = (left: Record<string, number>, right: Record<string, number>): boolean =>
  Object.keys({ ...left, ...right }).every((kind) => left[kind] === right[kind])

const outside = openSockets()

/** The sockets of earlier tests take a moment to close. */
const baseline = eventually(() => isEqual(openSockets(), outside))

describe.each(["TCP", "Unix"] as const)("a proxy of %s sockets", (kind) => {
  it.effect("passes on bytes and ends of streams, and counts them", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const { client, server } = yield* connect
      client.send("question")
      yield* eventually(() => server.text === "question")
      client.socket.end()
      yield* eventually(() => server.hasEnded)
      // Half-open: the other direction goes on.
      server.send("an answer")
      yield* eventually(() => client.text === "an answer")
      assert.isFalse(client.hasEnded)
      assert.deepStrictEqual(now(proxy), {
        open: 1,
        total: 1,
        failed: 0,
        toServer: { received: 8, sent: 8, lost: 0 },
        toClient: { received: 9, sent: 9, lost: 0 }
      })
      server.socket.end()
      yield* eventually(() => client.isClosed && server.isClosed && now(proxy).open === 0)
      assert.strictEqual(client.error, undefined)
      assert.strictEqual(server.error, undefined)
      const other = yield* connect
      other.server.socket.end()
      yield* eventually(() => other.client.hasEnded)
      other.client.send("and yet")
      yield* eventually(() => other.server.text === "and yet")
    })
  )

  it.live(
    "passes on large transfers byte by byte, whatever it does to them",
    () =>
      Effect.gen(function* () {
        const { proxy } = yield* setUp(kind, { isEcho: true })
        yield* FaultProxy.delay(proxy, { latency: "2 millis", jitter: "3 millis" })
        yield* FaultProxy.throttle(proxy, { bytesPerSecond: 20_000_000 })
        const transfer = Effect.gen(function* () {
          const data = randomBytes(500_000)
          const client = yield* dial(proxy.address)
          client.send(data)
          client.socket.end()
          yield* eventually(() => client.hasEnded)
          assert.isTrue(client.received.equals(data))
        })
        const disturb = Effect.forever(
          Effect.gen(function* () {
            yield* FaultProxy.stall(proxy, { direction: "toClient" })
            yield* Effect.sleep("5 millis")
            yield* FaultProxy.resume(proxy)
            yield* FaultProxy.delay(proxy, { latency: "10 millis" })
            yield* Effect.sleep("5 millis")
            yield* FaultProxy.delay(proxy, { latency: 0, jitter: "2 millis" })
            yield* Effect.sleep("5 millis")
          })
        )
        yield* Effect.raceFirst(
          Effect.all(
            Array.from({ length: 8 }, () => transfer),
            { concurrency: 8 }
          ),
          disturb
        )
        const { toClient, toServer } = now(proxy)
        assert.deepStrictEqual(toServer, { received: 4_000_000, sent: 4_000_000, lost: 0 })
        assert.deepStrictEqual(toClient, toServer)
      }),
    heavy
  )

  it.effect("delays what passes, by latency and jitter, in order", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const { client, server } = yield* connect
      yield* FaultProxy.delay(proxy, { latency: "100 millis", jitter: "50 millis", direction: "toServer" })
      const words = Array.from({ length: 20 }, (_, n) => `word ${n}, `)
      for (const [n, word] of words.entries()) {
        client.send(word)
        yield* eventually(() => now(proxy).toServer.received === words.slice(0, n + 1).join("").length)
      }
      client.socket.end()
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(now(proxy).toServer.sent, 0)
      const steps = new Set<number>()
      for (let time = 100; time <= 151; time++) {
        yield* TestClock.adjust("1 millis")
        steps.add(now(proxy).toServer.sent)
      }
      assert.isAbove(steps.size, 2)
      // The proxy learns of the end when the system says so, and delays it from then on.
      while (!server.hasEnded) {
        yield* TestClock.adjust("1 millis")
        yield* eventually(() => true)
      }
      assert.strictEqual(server.text, words.join(""))
      // The other direction is not affected.
      server.send("at once")
      yield* eventually(() => client.text === "at once")
    }).pipe(Random.withSeed("any"))
  )

  it.effect("applies a change to what is under way", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const { client, server } = yield* connect
      yield* FaultProxy.delay(proxy, { latency: "1 day" })
      client.send("soon")
      yield* eventually(() => now(proxy).toServer.received === 4)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(now(proxy).toServer.sent, 0)
      yield* FaultProxy.delay(proxy, { latency: "2 minutes" })
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(now(proxy).toServer.sent, 0)
      yield* TestClock.adjust("1002 millis")
      yield* eventually(() => server.text === "soon")
      yield* FaultProxy.delay(proxy, { latency: "1 day" })
      client.send(" now")
      yield* eventually(() => now(proxy).toServer.received === 8)
      yield* FaultProxy.heal(proxy)
      yield* eventually(() => server.text === "soon now")
    })
  )

  it.effect("throttles to so many bytes a second, however the server or the clock hurry", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const { client, server } = yield* connect
      yield* FaultProxy.throttle(proxy, { bytesPerSecond: 1000, direction: "toClient" })
      const data = randomBytes(3000)
      server.send(data)
      yield* eventually(() => now(proxy).toClient.received === 3000)
      yield* TestClock.adjust("1 second")
      assert.approximately(now(proxy).toClient.sent, 1000, 20)
      yield* TestClock.adjust("500 millis")
      assert.approximately(now(proxy).toClient.sent, 1500, 20)
      // A stall is no time to save bytes up in.
      yield* FaultProxy.stall(proxy)
      yield* TestClock.adjust("1 minute")
      yield* FaultProxy.resume(proxy)
      assert.isBelow(now(proxy).toClient.sent, 1600)
      yield* TestClock.adjust("1 second")
      assert.approximately(now(proxy).toClient.sent, 2500, 40)
      yield* FaultProxy.throttle(proxy, { bytesPerSecond: Infinity })
      yield* eventually(() => client.size === 3000)
      assert.isTrue(client.received.equals(data))
      // Nor is a time without bytes.
      yield* FaultProxy.throttle(proxy, { bytesPerSecond: 1000 })
      server.send("x")
      yield* eventually(() => now(proxy).toClient.received === 3001)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(now(proxy).toClient.sent, 3001)
      server.send(randomBytes(999))
      yield* eventually(() => now(proxy).toClient.received === 4000)
      yield* TestClock.adjust("500 millis")
      assert.approximately(now(proxy).toClient.sent, 3501, 20)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(now(proxy).toClient.sent, 4000)
      // Less than a byte at a time.
      yield* FaultProxy.throttle(proxy, { bytesPerSecond: 1 })
      server.send("ab")
      yield* eventually(() => now(proxy).toClient.received === 4002)
      yield* TestClock.adjust("1 second")
      yield* eventually(() => client.size === 4001)
      assert.strictEqual(now(proxy).toClient.sent, 4001)
    })
  )

  it.effect(
    "holds a bounded number of bytes while it stalls, and loses none",
    () =>
      Effect.gen(function* () {
        const { connect, proxy } = yield* setUp(kind)
        const { client, server } = yield* connect
        yield* FaultProxy.stall(proxy)
        const data = randomBytes(20_000_000)
        client.send(data)
        client.socket.end()
        yield* eventually(() => now(proxy).toServer.received >= IN_FLIGHT)
        // All that can be in the buffers of both sockets, and not in the proxy's.
        for (let turn = 0; turn < 100; turn++) yield* eventually(() => true)
        assert.isBelow(now(proxy).toServer.received, IN_FLIGHT + 128 * 1024)
        assert.strictEqual(now(proxy).toServer.sent, 0)
        assert.isFalse(client.socket.writableFinished)
        yield* FaultProxy.resume(proxy)
        yield* eventually(() => server.hasEnded)
        assert.isTrue(server.received.equals(data))
      }),
    heavy
  )

  it.effect(
    "holds a bounded number of messages, be they ever so small",
    () =>
      Effect.gen(function* () {
        const { connect, proxy } = yield* setUp(kind)
        const { client, server } = yield* connect
        yield* FaultProxy.stall(proxy)
        for (let n = 0; n < 1100; n++) {
          client.send("x")
          yield* eventually(() => now(proxy).toServer.received === n + 1 || n >= 1024)
        }
        assert.strictEqual(now(proxy).toServer.received, 1024)
        yield* FaultProxy.resume(proxy)
        yield* eventually(() => server.size === 1100)
      }),
    heavy
  )

  it.effect(
    "does not read faster than the other side does",
    () =>
      Effect.gen(function* () {
        const { connect, proxy } = yield* setUp(kind)
        const { client, server } = yield* connect
        server.socket.pause()
        const data = randomBytes(30_000_000)
        client.send(data)
        let before = -1
        while (now(proxy).toServer.received > before) {
          before = now(proxy).toServer.received
          for (let turn = 0; turn < 100; turn++) yield* eventually(() => true)
        }
        const { received, sent } = now(proxy).toServer
        assert.isBelow(received, data.length)
        assert.isAtMost(received - sent, IN_FLIGHT + 128 * 1024)
        server.socket.resume()
        yield* eventually(() => server.size === data.length)
        assert.isTrue(server.received.equals(data))
      }),
    heavy
  )

  it.effect("stalls ends of streams and new connections too", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const { client, server } = yield* connect
      yield* FaultProxy.stall(proxy)
      const other = yield* connect
      client.send("last words")
      client.socket.end()
      other.client.send("first words")
      yield* eventually(() => now(proxy).toServer.received === 21)
      yield* TestClock.adjust("1 day")
      assert.strictEqual(now(proxy).toServer.sent, 0)
      assert.isFalse(server.hasEnded)
      yield* FaultProxy.resume(proxy)
      yield* eventually(() => server.hasEnded && other.server.text === "first words")
      assert.strictEqual(server.text, "last words")
    })
  )

  it.effect("swallows everything in a blackhole, new connections too, and forgets what has lost something", () =>
    Effect.gen(function* () {
      const { connect, proxy, server } = yield* setUp(kind)
      const idle = yield* connect
      const busy = yield* connect
      const ending = yield* connect
      yield* FaultProxy.stall(proxy, { direction: "toServer" })
      busy.client.send("under way")
      yield* eventually(() => now(proxy).toServer.received === 9)
      yield* FaultProxy.blackhole(proxy)
      assert.strictEqual(now(proxy).toServer.lost, 9)
      const data = randomBytes(2_000_000)
      busy.client.send(data)
      busy.server.send("an answer")
      ending.client.socket.end()
      const late = yield* dial(proxy.address)
      late.send("hello?")
      const silent = yield* dial(proxy.address)
      yield* eventually(() => now(proxy).toServer.lost === 9 + 2_000_000 + 6 && now(proxy).toClient.lost === 9)
      yield* eventually(() => now(proxy).total === 5)
      assert.strictEqual(server.peers.length, 3)
      assert.deepInclude(now(proxy).toServer, { sent: 0 })
      for (const peer of [idle.client, idle.server, busy.client, busy.server, ending.server, late, silent]) {
        assert.isFalse(peer.hasEnded || peer.isClosed)
      }
      yield* FaultProxy.heal(proxy)
      yield* eventually(() =>
        [busy.client, ending.client, late, silent].every((peer) => peer.error !== undefined || peer.hasEnded)
      )
      yield* eventually(() => [busy.server, ending.server].every((peer) => peer.error !== undefined || peer.hasEnded))
      idle.client.send("still here")
      yield* eventually(() => idle.server.text === "still here")
      assert.strictEqual((yield* connect).client.error, undefined)
    })
  )

  it.effect("a blackhole in one direction leaves the other one alone", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      yield* FaultProxy.blackhole(proxy, { direction: "toServer" })
      const { client, server } = yield* connect
      client.send("unheard")
      server.send("welcome")
      yield* eventually(() => client.text === "welcome" && now(proxy).toServer.lost === 7)
      assert.strictEqual(server.size, 0)
    })
  )

  it.effect("cuts connections in good order, whatever they are at", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const { client, server } = yield* connect
      client.send("heard")
      yield* eventually(() => server.text === "heard")
      yield* FaultProxy.stall(proxy)
      client.send("unheard")
      yield* eventually(() => now(proxy).toServer.received === 12)
      yield* FaultProxy.cut(proxy)
      assert.strictEqual(now(proxy).toServer.lost, 7)
      yield* eventually(() => client.hasEnded && server.hasEnded)
      // Who talks on talks to nobody, until both have closed.
      client.send("too late")
      yield* eventually(() => now(proxy).toServer.lost === 15)
      assert.strictEqual(now(proxy).open, 1)
      client.socket.end()
      server.socket.end()
      yield* eventually(() => now(proxy).open === 0)
      assert.strictEqual(server.text, "heard")
      assert.deepStrictEqual([client.error, server.error], [undefined, undefined])
    })
  )

  it.effect(
    "cuts connections that stall or were lost from the start, and is done with them when both sides close",
    () =>
      Effect.gen(function* () {
        const { connect, proxy } = yield* setUp(kind)
        const { client, server } = yield* connect
        yield* FaultProxy.stall(proxy)
        client.send(randomBytes(3_000_000))
        yield* eventually(() => now(proxy).toServer.received >= IN_FLIGHT)
        yield* FaultProxy.cut(proxy)
        client.socket.end()
        yield* eventually(() => server.hasEnded && now(proxy).toServer.lost === 3_000_000)
        server.socket.end()
        yield* eventually(() => now(proxy).open === 0)
        yield* FaultProxy.blackhole(proxy)
        const late = yield* dial(proxy.address)
        yield* eventually(() => now(proxy).total === 2)
        yield* FaultProxy.cut(proxy)
        late.socket.end()
        yield* eventually(() => late.hasEnded && now(proxy).open === 0)
      })
  )

  it.effect("cuts one direction, which leaves a connection half-open", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const { client, server } = yield* connect
      yield* FaultProxy.cut(proxy, { direction: "toClient" })
      yield* eventually(() => client.hasEnded)
      client.send("more")
      yield* eventually(() => server.text === "more")
      assert.isFalse(server.hasEnded)
    })
  )

  it.effect("resets connections, as far as the sockets know that", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const { client, server } = yield* connect
      yield* FaultProxy.stall(proxy)
      client.send("unheard")
      yield* eventually(() => now(proxy).toServer.received === 7)
      yield* FaultProxy.reset(proxy)
      if (kind === "TCP") {
        yield* eventually(() => client.isClosed && server.isClosed)
        assert.deepStrictEqual([client.error, server.error], ["ECONNRESET", "ECONNRESET"])
      } else {
        yield* eventually(() => client.hasEnded && server.hasEnded)
        client.send("anybody there?")
        yield* eventually(() => client.isClosed)
        assert.strictEqual(client.error, "EPIPE")
      }
      assert.deepInclude(now(proxy), { open: 0, toServer: { received: 7, sent: 0, lost: 7 } })
    })
  )

  it.effect("ends a connection in the middle of a message", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      for (const ending of ["cut", "reset"] as const) {
        yield* FaultProxy.cutAfter(proxy, { bytes: 6, ending, direction: "toClient" })
        const { client, server } = yield* connect
        server.send("12")
        yield* eventually(() => client.size === 2)
        client.send("as much as you want")
        yield* eventually(() => server.size === 19)
        server.send("34567890")
        yield* eventually(() => client.hasEnded || client.isClosed)
        assert.strictEqual(client.text, "123456")
        assert.strictEqual(client.error, ending === "reset" && kind === "TCP" ? "ECONNRESET" : undefined)
      }
      // Taken back, it passes more.
      const { client, server } = yield* connect
      yield* FaultProxy.heal(proxy)
      server.send("1234567890")
      yield* eventually(() => client.size === 10)
    })
  )

  it.effect("ends a connection at its first byte", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      yield* FaultProxy.cutAfter(proxy, { bytes: 0 })
      const { client, server } = yield* connect
      client.send("x")
      yield* eventually(() => client.hasEnded && server.hasEnded)
      assert.strictEqual(server.size, 0)
    })
  )

  it.effect("refuses connections until it is healed, at the same address", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const { client, server } = yield* connect
      for (let round = 0; round < 3; round++) {
        yield* FaultProxy.refuse(proxy)
        yield* FaultProxy.refuse(proxy)
        const refused = yield* dial(proxy.address)
        yield* eventually(() => refused.isClosed)
        assert.strictEqual(refused.error, kind === "TCP" ? "ECONNREFUSED" : "ENOENT")
        // What is open stays so.
        client.send("x")
        yield* eventually(() => server.size === round + 1)
        const first = yield* Effect.forkChild(FaultProxy.heal(proxy), { startImmediately: true })
        yield* FaultProxy.heal(proxy)
        yield* connect
        yield* Fiber.join(first)
      }
      assert.strictEqual(now(proxy).total, 4)
    })
  )

  it.effect("affects the connections that are open, or those to come, if so told", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const first = yield* connect
      yield* FaultProxy.stall(proxy, { connections: "open" })
      const second = yield* connect
      yield* FaultProxy.blackhole(proxy, { connections: "new" })
      const third = yield* dial(proxy.address)
      first.client.send("1")
      second.client.send("2")
      third.send("3")
      yield* eventually(() => second.server.text === "2" && now(proxy).toServer.received === 3)
      assert.deepStrictEqual(now(proxy).toServer, { received: 3, sent: 1, lost: 1 })
      yield* FaultProxy.resume(proxy)
      yield* eventually(() => first.server.text === "1")
    })
  )

  it.effect("a server that can't be reached costs the client its connection, and counts", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(startServer(kind), scope)
      yield* Scope.close(scope, Exit.void)
      const proxy = yield* makeProxy(kind, server.address)
      const client = yield* dial(proxy.address)
      client.send("hello")
      yield* eventually(() => client.isClosed || client.hasEnded)
      client.socket.destroy()
      yield* eventually(() => now(proxy).open === 0)
      assert.deepInclude(now(proxy), { total: 1, failed: 1 })
      assert.strictEqual(now(proxy).toServer.sent, 0)
    })
  )

  it.effect("passes on that one side has broken off, delayed as all the rest", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      yield* FaultProxy.delay(proxy, { latency: "1 second" })
      const breakOff = ({ socket }: Peer) => (kind === "TCP" ? socket.resetAndDestroy() : socket.destroy())
      for (const from of ["client", "server"] as const) {
        const peers = yield* connect
        const to = peers[from === "client" ? "server" : "client"]
        breakOff(peers[from])
        // The proxy learns of it, and the other side does not yet.
        if (kind === "Unix") to.send("x")
        for (let turn = 0; turn < 20; turn++) yield* eventually(() => true)
        assert.isFalse(to.hasEnded || to.isClosed)
        while (!(to.hasEnded || to.isClosed)) {
          yield* TestClock.adjust("1 second")
          yield* eventually(() => true)
        }
        if (kind === "TCP") assert.strictEqual(to.error, "ECONNRESET")
        assert.strictEqual(now(proxy).failed, 0)
        to.socket.destroy()
      }
    })
  )

  it.effect("passes on that one side has broken off after it had ended its stream", () =>
    Effect.gen(function* () {
      const { connect } = yield* setUp(kind)
      const { client, server } = yield* connect
      client.socket.end()
      yield* eventually(() => server.hasEnded)
      if (kind === "TCP") client.socket.resetAndDestroy()
      else client.socket.destroy()
      // Who says nothing may never learn that nobody listens.
      yield* eventually(() => {
        server.send("x")
        return server.isClosed
      })
      assert.match(String(server.error), /ECONNRESET|EPIPE/)
    })
  )

  it.effect("counts as lost what is sent to a side that has broken off", () =>
    Effect.gen(function* () {
      const { connect, proxy } = yield* setUp(kind)
      const { client, server } = yield* connect
      yield* FaultProxy.stall(proxy, { direction: "toClient" })
      if (kind === "TCP") server.socket.resetAndDestroy()
      else server.socket.destroy()
      yield* eventually(() => {
        client.send("x")
        return now(proxy).toServer.lost > 0
      })
      assert.isFalse(client.isClosed || client.hasEnded)
      assert.strictEqual(now(proxy).toServer.sent + now(proxy).toServer.lost, now(proxy).toServer.received)
    })
  )

  it.live("leaves nothing behind when its scope closes, whatever the connections are at", () =>
    Effect.gen(function* () {
      yield* baseline
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(startServer(kind), scope)
      const before = openSockets()
      const timers = yield* countSleeps
      const proxyScope = yield* Scope.make()
      const clientScope = yield* Scope.make()
      const proxy = yield* makeProxy(kind, server.address).pipe(
        Scope.provide(proxyScope),
        Effect.provideService(Clock.Clock, timers.clock)
      )
      const start = (expected: number) =>
        Effect.gen(function* () {
          const client = yield* Scope.provide(dial(proxy.address), clientScope)
          yield* eventually(() => now(proxy).total === expected && client.socket.readyState === "open")
          client.send(randomBytes(1_000_000))
          return client
        })
      yield* start(1)
      yield* FaultProxy.delay(proxy, { latency: "1 hour" })
      yield* start(2)
      yield* FaultProxy.throttle(proxy, { bytesPerSecond: 10 })
      yield* start(3)
      yield* FaultProxy.stall(proxy)
      const halfOpen = yield* start(4)
      halfOpen.socket.end()
      yield* FaultProxy.cut(proxy, { direction: "toClient" })
      yield* FaultProxy.blackhole(proxy)
      yield* start(5)
      yield* FaultProxy.refuse(proxy)
      assert.strictEqual(now(proxy).open, 5)
      assert.isAbove(timers.running(), 0)
      yield* Scope.close(proxyScope, Exit.void)
      assert.strictEqual(now(proxy).open, 0)
      assert.strictEqual(timers.running(), 0)
      if (kind === "Unix") assert.isFalse(existsSync(dirname((proxy.address as FaultProxy.UnixAddress).path)))
      // Too late for any of it, and no harm.
      yield* FaultProxy.heal(proxy)
      yield* FaultProxy.reset(proxy)
      yield* Scope.close(clientScope, Exit.void)
      for (const peer of server.peers) peer.socket.destroy()
      yield* eventually(() => isEqual(openSockets(), before))
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.live("leaves nothing behind when it is interrupted while it starts", () =>
    Effect.gen(function* () {
      yield* baseline
      for (let turns = 0; turns < 12; turns++) {
        const fiber = yield* Effect.forkChild(
          Effect.scoped(Effect.andThen(makeProxy(kind, { host: "127.0.0.1", port: 1 }), Effect.never))
        )
        for (let turn = 0; turn < turns; turn++) yield* eventually(() => true)
        yield* Fiber.interrupt(fiber)
        yield* eventually(() => isEqual(openSockets(), outside))
      }
    })
  )
})

describe("a proxy", () => {
  it.effect("goes between one kind of socket and the other", () =>
    Effect.gen(function* () {
      for (const [outside, inside] of [
        ["TCP", "Unix"],
        ["Unix", "TCP"]
      ] as const) {
        const server = yield* startServer(inside, { isEcho: true })
        const proxy = yield* makeProxy(outside, server.address)
        const client = yield* dial(proxy.address)
        client.send("there and back")
        yield* eventually(() => client.text === "there and back")
        yield* FaultProxy.reset(proxy)
        yield* eventually(() => client.isClosed || client.hasEnded)
      }
    })
  )

  it.effect("draws its jitter from Random, so that a seed repeats it", () => {
    const arrivals = (isUnsteady: boolean) =>
      Effect.gen(function* () {
        const { connect, proxy } = yield* setUp("TCP")
        yield* FaultProxy.delay(proxy, { latency: 0, jitter: "100 millis" })
        const { client } = yield* connect
        const times: Array<number> = []
        for (let n = 1; n <= 10; n++) {
          client.send("x")
          yield* eventually(() => now(proxy).toServer.received === n)
          let waited = 0
          while (now(proxy).toServer.sent < n) {
            waited++
            // What is under way keeps the luck that it had.
            if (isUnsteady) yield* FaultProxy.throttle(proxy, { bytesPerSecond: Infinity })
            yield* TestClock.adjust("1 millis")
          }
          times.push(waited)
        }
        return times
      }).pipe(Effect.scoped)
    return Effect.gen(function* () {
      const first = yield* Random.withSeed(arrivals(false), "a")
      assert.deepStrictEqual(yield* Random.withSeed(arrivals(true), "a"), first)
      assert.notDeepEqual(yield* Random.withSeed(arrivals(false), "b"), first)
      assert.isAbove(new Set(first).size, 5)
      assert.isAtMost(Math.max(...first), 101)
    })
  })

  it.effect("fails typed where it can't listen, and when it can't again", () =>
    Effect.gen(function* () {
      const server = yield* startServer("TCP")
      const upstream = server.address as FaultProxy.TcpAddress
      const taken = yield* Effect.flip(FaultProxy.make({ upstream, listen: upstream }))
      assert.strictEqual(taken._tag, "FaultProxyError")
      assert.match(taken.message, new RegExp(`listen on 127.0.0.1:${upstream.port}: .*EADDRINUSE`))
      const folder = yield* temporaryFolder
      const nowhere = yield* Effect.flip(FaultProxy.make({ upstream, listen: { path: `${folder}/no/socket` } }))
      assert.strictEqual(nowhere._tag, "FaultProxyError")
      const proxy = yield* FaultProxy.make({ upstream })
      yield* FaultProxy.refuse(proxy)
      const thief = yield* FaultProxy.make({ upstream, listen: proxy.address })
      assert.match(String(yield* Effect.flip(FaultProxy.heal(proxy))), /EADDRINUSE/)
      yield* FaultProxy.refuse(thief)
      yield* FaultProxy.heal(proxy)
      const client = yield* dial(proxy.address)
      yield* eventually(() => server.peers.length === 1)
      assert.strictEqual(client.error, undefined)
    })
  )

  it.effect("closes in the middle of being healed", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const proxy = yield* Scope.provide(FaultProxy.make({ upstream: { port: 1 } }), scope)
      yield* FaultProxy.refuse(proxy)
      const healing = yield* Effect.forkChild(FaultProxy.heal(proxy), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(healing)
      const client = yield* dial(proxy.address)
      yield* eventually(() => client.isClosed)
      assert.strictEqual(client.error, "ECONNREFUSED")
    })
  )

  it.effect("counts an address that can't even be tried as one that can't be reached", () =>
    Effect.gen(function* () {
      // Options are checked so that there is none; but then one that got through would end the process.
      const relay = new Relay({ host: "a\0b", port: 1 }, yield* Effect.context<never>())
      yield* Effect.addFinalizer(() => relay.close)
      const port = yield* relay.listen({ host: "127.0.0.1", port: 0 })
      const client = yield* dial({ host: "127.0.0.1", port: port! })
      yield* eventually(() => client.isClosed && relay.links.size === 0)
      assert.strictEqual(client.error, "ECONNRESET")
      assert.strictEqual(relay.failed, 1)
    })
  )

  it.effect("outlives errors of a listener that listens, and can still stop it", () =>
    Effect.gen(function* () {
      const listeners: Array<Server> = []
      const note = (message: unknown) => listeners.push((message as { readonly server: Server }).server)
      subscribe("tracing:net.server.listen:asyncEnd", note)
      const proxy = yield* FaultProxy.make({ upstream: { port: 1 } })
      unsubscribe("tracing:net.server.listen:asyncEnd", note)
      const listener = listeners.find((server) => (server.address() as AddressInfo).port === proxy.address.port)!
      for (let error = 1; error <= 2; error++) {
        listener.emit("error", new Error("accept ENOBUFS"))
        assert.strictEqual(now(proxy).failed, error)
      }
      yield* FaultProxy.refuse(proxy)
      assert.isFalse(listener.listening)
    })
  )

  it.effect("is named in the errors about its options", () =>
    Effect.gen(function* () {
      const proxy = yield* FaultProxy.make({ upstream: { port: 5432 } })
      const message = (fault: Effect.Effect<void, InvalidOptions.InvalidOptions>) =>
        Effect.map(Effect.flip(fault), (error) => error.message)
      assert.strictEqual(
        yield* message(FaultProxy.stall(proxy, { color: "red" } as object)),
        'Fault proxy: option "color" is not known, but is "red"'
      )
      assert.strictEqual(
        yield* message(FaultProxy.throttle(proxy, { bytesPerSecond: 0 })),
        'Fault proxy: option "bytesPerSecond" must be a whole number of at least 1, but is 0'
      )
    })
  )

  it.effect("refuses options that make no sense", () =>
    Effect.gen(function* () {
      const upstream = { port: 5432 }
      for (const [options, field] of [
        [{}, "upstream"],
        [{ upstream: 5432 }, "upstream"],
        [{ upstream: {} }, "upstream.port"],
        [{ upstream: { port: 0 } }, "upstream.port"],
        [{ upstream: { port: 65_536 } }, "upstream.port"],
        [{ upstream: { port: 1.5 } }, "upstream.port"],
        [{ upstream: { port: 1, host: "" } }, "upstream.host"],
        [{ upstream: { port: 1, host: "a\0b" } }, "upstream.host"],
        [{ upstream: { path: "" } }, "upstream.path"],
        [{ upstream: { path: "/a\0b" } }, "upstream.path"],
        [{ upstream, listen: { host: "a\0b" } }, "listen.host"],
        [{ upstream: { path: "/a", port: 1 } }, "upstream.port"],
        [{ upstream, listen: { port: -1 } }, "listen.port"],
        [{ upstream, listen: "tcp" }, "listen"],
        [{ upstream, listen: { path: 1 } }, "listen.path"],
        [{ upstream, listening: {} }, "listening"]
      ] as ReadonlyArray<readonly [any, string]>) {
        const error = yield* Effect.flip(FaultProxy.make(options))
        assert.instanceOf(error, InvalidOptions.InvalidOptions)
        assert.strictEqual((error as InvalidOptions.InvalidOptions).field, field)
      }
      const proxy = yield* FaultProxy.make({ upstream })
      const any = (value: object): any => value
      for (const [fault, field] of [
        [FaultProxy.delay(proxy, any({})), "latency"],
        [FaultProxy.delay(proxy, { latency: -1 }), "latency"],
        [FaultProxy.delay(proxy, { latency: Infinity }), "latency"],
        [FaultProxy.delay(proxy, { latency: 1, jitter: "Infinity" }), "jitter"],
        [FaultProxy.delay(proxy, any({ latency: 1, latancy: 1 })), "latancy"],
        [FaultProxy.throttle(proxy, any({})), "bytesPerSecond"],
        [FaultProxy.throttle(proxy, { bytesPerSecond: 0 }), "bytesPerSecond"],
        [FaultProxy.throttle(proxy, { bytesPerSecond: NaN }), "bytesPerSecond"],
        [FaultProxy.cutAfter(proxy, any({})), "bytes"],
        [FaultProxy.cutAfter(proxy, { bytes: -1 }), "bytes"],
        [FaultProxy.cutAfter(proxy, { bytes: Infinity }), "bytes"],
        [FaultProxy.cutAfter(proxy, any({ bytes: 1, ending: "bang" })), "ending"],
        [FaultProxy.stall(proxy, any({ direction: "up" })), "direction"],
        [FaultProxy.resume(proxy, any({ connections: "old" })), "connections"],
        [FaultProxy.blackhole(proxy, any({ color: "black" })), "color"],
        [FaultProxy.cut(proxy, any({ direction: "down" })), "direction"],
        [FaultProxy.cut(proxy, any({ connections: "new" })), "connections"]
      ] as const) {
        const error = yield* Effect.flip(fault)
        assert.instanceOf(error, InvalidOptions.InvalidOptions)
        assert.strictEqual(error.field, field)
      }
    })
  )
})
