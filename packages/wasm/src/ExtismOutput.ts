/**
 * What a plugin gives: bytes, and what they say.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The output of a call, or what a host function reads. It is a copy, and so outlives the instance.
 *
 * **Example** (A fake for tests)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { ExtismOutput } from "@effect-pools/wasm"
 *
 * const output = new ExtismOutput.ExtismOutput(new TextEncoder().encode(`{"count":3}`))
 * const count = Effect.map(output.json(Schema.Struct({ count: Schema.Number })), ({ count }) => count)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class ExtismOutput {
  /** Empty if there was no output at all. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Whether the plugin has set an output, be it an empty one. */
  readonly isSet: boolean

  constructor(bytes: Uint8Array<ArrayBuffer> | undefined) {
    this.bytes = bytes ?? new Uint8Array()
    this.isSet = bytes !== undefined
  }

  /** As UTF-8. What is none becomes replacement characters. */
  get text(): string {
    return new TextDecoder().decode(this.bytes)
  }

  /** As JSON of a schema. */
  json<S extends Schema.Constraint>(schema: S): Effect.Effect<S["Type"], Schema.SchemaError, S["DecodingServices"]> {
    return Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(this.text)
  }
}
