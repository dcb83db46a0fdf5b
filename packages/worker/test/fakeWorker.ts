import { isTagged } from "effect/Predicate"
import type { RequestEncoded } from "effect/rpc/RpcMessage"
import { EventEmitter } from "node:events"

/** A worker that does what a test makes it do. */
export class FakeWorker extends EventEmitter {
  readonly sent: Array<unknown> = []
  terminated = false
  isStuck = false

  postMessage(message: unknown): void {
    this.sent.push(message)
  }

  terminate(): Promise<number> {
    this.terminated = true
    if (!this.isStuck) this.exit(1)
    return Promise.resolve(1)
  }

  ref(): void {}

  unref(): void {}

  ready(): void {
    this.emit("message", [0])
  }

  say(message: unknown): void {
    this.emit("message", [1, message])
  }

  exit(code: number): void {
    this.emit("exit", code)
  }
}

/** A worker that is ready and answers by itself, in microtasks. */
export class ObligingWorker extends FakeWorker {
  isAlive = true

  constructor() {
    super()
    queueMicrotask(() => this.ready())
  }

  override postMessage(message: unknown): void {
    const [kind, request] = message as readonly [number, unknown]
    if (kind === 1) return queueMicrotask(() => this.exit(0))
    if (isTagged(request, "Request")) this.#answer(request as unknown as RequestEncoded)
    // The rest of a stream.
    if (isTagged(request, "Ack")) this.#say({ ...request, _tag: "Exit", exit: { _tag: "Success", value: null } })
  }

  #answer({ id, tag }: RequestEncoded): void {
    if (tag === "Spin") return
    if (tag === "Numbers") return this.#say({ _tag: "Chunk", requestId: id, values: [0, 1] })
    this.#say({ _tag: "Exit", requestId: id, exit: { _tag: "Success", value: 42 } })
  }

  #say(response: unknown): void {
    queueMicrotask(() => this.isAlive && this.emit("message", [1, response]))
  }

  override terminate(): Promise<number> {
    queueMicrotask(() => this.exit(1))
    return Promise.resolve(1)
  }

  override exit(code: number): void {
    if (!this.isAlive) return
    this.isAlive = false
    super.exit(code)
  }
}
