/**
 * A real Extism plugin, written in AssemblyScript with Extism's own kit for it, and compiled when a test needs it.
 *
 * Its source is text here, as AssemblyScript looks like TypeScript and is not.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import asc from "assemblyscript/asc"

const source = `
import { Config, Host, LogLevel, Memory, Var } from "@extism/as-pdk"

@external("extism:host/env", "error_set") declare function error_set(offset: u64): void
@external("extism:host/env", "http_request") declare function http_request(request: u64, body: u64): u64
@external("extism:host/env", "http_status_code") declare function http_status_code(): i32
@external("extism:host/env", "length") declare function length(offset: u64): u64
@external("extism:host/user", "shout") declare function host_shout(offset: u64): u64
@external("extism:host/user", "add") declare function host_add(a: i32, b: i64): i64

function output(text: string): void {
  Host.output(Uint8Array.wrap(String.UTF8.encode(text)))
}

export function count_vowels(): i32 {
  const text = Host.inputString()
  let count = 0
  for (let i = 0; i < text.length; i++) if ("aeiouAEIOU".includes(text.charAt(i))) count++
  output('{"count":' + count.toString() + "}")
  return 0
}

export function echo(): i32 {
  Host.output(Host.input())
  return 0
}

export function greeting(): i32 {
  const key = Host.inputString()
  const greeting = Config.get(key == "" ? "greeting" : key)
  output(greeting === null ? "nothing configured" : greeting)
  return 0
}

export function silent(): i32 {
  return 0
}

let calls: i32 = 0

/** Counts in a global, and in a variable of Extism's. */
export function count(): i32 {
  calls++
  const seen = Var.getString("seen")
  const now = (seen === null ? "" : seen) + "+"
  Var.set("seen", Uint8Array.wrap(String.UTF8.encode(now)))
  output(calls.toString() + now)
  return 0
}

export function shout(): i32 {
  const answer = host_shout(Memory.allocateString(Host.inputString()).offset)
  output(new Memory(answer, length(answer)).toString())
  return 0
}

export function add(): i32 {
  output(host_add(40, 2).toString())
  return 0
}

export function refuse(): i32 {
  error_set(Memory.allocateString("no vowels today").offset)
  return 1
}

export function log(): i32 {
  Host.log(LogLevel.Warn, "mind the vowels")
  return 0
}

export function trap(): i32 {
  unreachable()
  return 0
}

export function divide(): i32 {
  return 1 / calls
}

function deeper(depth: i32): i32 {
  return depth == -1 ? 0 : deeper(depth + 1) + deeper(depth + 2)
}

export function overflow(): i32 {
  return deeper(0)
}

export function run_away(): i32 {
  while (true) calls++
}

export function eat_memory(): i32 {
  while (memory.grow(16) >= 0) {}
  unreachable()
  return 0
}

export function eat_blocks(): i32 {
  while (true) Memory.allocate(1 << 20)
}

export function recycle_blocks(): i32 {
  for (let n = 0; n < 100; n++) Memory.allocate(1 << 20).free()
  output("100 MiB")
  return 0
}

export function fetch(): i32 {
  const answer = http_request(Memory.allocateString('{"url":"' + Host.inputString() + '","method":"GET"}').offset, 0)
  output(http_status_code().toString() + " " + new Memory(answer, length(answer)).toString())
  return 0
}
`

const require = createRequire(import.meta.url)
const kit = dirname(require.resolve("@extism/as-pdk/package.json"))

const read = (file: string): string | null => {
  if (file === "plugin.ts") return source
  // The compiler looks for packages in the folder that it runs in.
  const inKit = /(?:^|\/)node_modules\/@extism\/as-pdk\/(.*)$/.exec(file)?.[1]
  if (inKit === undefined) return null
  try {
    return readFileSync(join(kit, inKit), "utf8")
  } catch {
    return null
  }
}

const compile = async (): Promise<Uint8Array<ArrayBuffer>> => {
  let binary: Uint8Array | undefined
  const { error } = await asc.main(["plugin.ts", "--outFile", "plugin.wasm", "--optimize", "--use", "abort="], {
    readFile: read,
    writeFile: (file, contents) => {
      if (file === "plugin.wasm" && typeof contents !== "string") binary = contents
    },
    listFiles: () => []
  })
  if (error !== null || binary === undefined) throw new Error("The plugin does not compile", { cause: error })
  return Uint8Array.from(binary)
}

let compiled: Promise<Uint8Array<ArrayBuffer>> | undefined

/** The plugin's bytes. */
export const pluginBytes = (): Promise<Uint8Array<ArrayBuffer>> => (compiled ??= compile())
