import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import wabt from "wabt"

const tools = await wabt()

const features = { threads: true, exceptions: true, memory64: true, bulk_memory: true, reference_types: true }

/** A module from its text. */
export const fromText = (text: string): Uint8Array<ArrayBuffer> => {
  const module = tools.parseWat("test.wat", text, features)
  try {
    return new Uint8Array(module.toBinary({}).buffer)
  } finally {
    module.destroy()
  }
}

/**
 * A module that has what the text format of the tools at hand can't say: the function `run`, of this body. Type 0 is that
 * of `run`, 1 an empty struct, 2 an array of i32.
 */
export const fromCode = (...body: Array<number>): Uint8Array<ArrayBuffer> =>
  new Uint8Array(
    [
      [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      section(1, [3, 0x60, 0, 0, 0x5f, 0, 0x5e, 0x7f, 1]),
      section(3, [1, 0]),
      section(7, [1, 3, ...Buffer.from("run"), 0, 0]),
      section(10, [1, body.length + 2, 0, ...body, 0x0b])
    ].flat()
  )

/** A section of less than 128 bytes. */
export const section = (id: number, content: ReadonlyArray<number>): Array<number> => [id, content.length, ...content]

/** A module from AssemblyScript. */
export const fromAssemblyScript = async (source: string): Promise<Uint8Array> => {
  // It is large, and few need it.
  const { default: asc } = await import("assemblyscript/asc")
  const { binary, error } = await asc.compileString(source, { optimizeLevel: 2, runtime: "stub" })
  if (binary === null) throw new Error("This does not compile", { cause: error })
  return binary
}

/** SQLite: some hundred KB, with 40 imports. It is not used, so what it imports need do nothing. */
export const sqlite = {
  bytes: readFileSync(fileURLToPath(import.meta.resolve("sql.js/dist/sql-wasm.wasm"))),
  imports: () => ({ a: new Proxy({}, { get: () => () => 0 }) })
}
