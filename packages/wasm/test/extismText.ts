/** Plugins in WebAssembly's text format, for what no kit would do. */
import { fromText } from "./modules.ts"

/** A plugin that imports what Extism has, with the function `run` of this body; `$a` is an i64, and `$n` an i32. */
export const textPlugin = (body: string, more = ""): Uint8Array<ArrayBuffer> =>
  fromText(`(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "free" (func $free (param i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "extism:host/env" "store_u64" (func $store8 (param i64 i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
    (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
    (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
    (import "extism:host/env" "log_warn" (func $log (param i64)))
    (import "extism:host/user" "ask" (func $ask (param i64) (result i64)))
    ${more}
    (memory (export "memory") 1)
    (func (export "run") (result i32) (local $a i64) (local $n i32) ${body} (i32.const 0)))`)

/** What does it that often. */
export const times = (count: number, body: string): string => `(loop $again ${body}
  (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const ${count}))))`

/** A new block with one character in it. */
export const character = (text: string): string => `(local.set $a (call $alloc (i64.const 1)))
  (call $store (local.get $a) (i32.const ${text.charCodeAt(0)}))`

/** A new block with a text in it. */
export const block = (text: string): string => {
  const bytes = Array.from(new TextEncoder().encode(text))
  const stores = bytes.map((byte, n) => `(call $store (i64.add (local.get $a) (i64.const ${n})) (i32.const ${byte}))`)
  return `(local.set $a (call $alloc (i64.const ${bytes.length}))) ${stores.join(" ")}`
}

export const caught = (body: string): string => `(try (do ${body}) (catch_all))`
