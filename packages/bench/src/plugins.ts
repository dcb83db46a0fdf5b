/** The WebAssembly that is measured: a large module, and an Extism plugin. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import asc from "assemblyscript/asc"

const require = createRequire(import.meta.url)

/** SQLite, with what it imports: functions that it does not get to call. */
export const sqlite = {
  bytes: readFileSync(require.resolve("sql.js/dist/sql-wasm.wasm")),
  imports: () => ({ a: new Proxy({}, { get: () => () => 0 }) })
}

const countVowels = `
import { Host } from "@extism/as-pdk"

export function count_vowels(): i32 {
  const text = Host.inputString()
  let count = 0
  for (let i = 0; i < text.length; i++) if ("aeiouAEIOU".includes(text.charAt(i))) count++
  Host.output(Uint8Array.wrap(String.UTF8.encode(count.toString())))
  return 0
}
`

/** An Extism plugin, from AssemblyScript. */
export const compileExtismPlugin = async (): Promise<Uint8Array> => {
  const kit = dirname(require.resolve("@extism/as-pdk/package.json"))
  const read = (file: string): string | null => {
    if (file === "plugin.ts") return countVowels
    // The compiler looks for packages in the folder that it runs in.
    const [, inKit] = file.split("node_modules/@extism/as-pdk/")
    try {
      return inKit === undefined ? null : readFileSync(join(kit, inKit), "utf8")
    } catch {
      return null
    }
  }
  let binary: Uint8Array | undefined
  const { error } = await asc.main(["plugin.ts", "--outFile", "plugin.wasm", "--optimize", "--use", "abort="], {
    readFile: read,
    writeFile: (file, contents) => {
      if (file === "plugin.wasm" && typeof contents !== "string") binary = Uint8Array.from(contents)
    },
    listFiles: () => []
  })
  if (error !== null || binary === undefined) throw new Error("The plugin does not compile", { cause: error })
  return binary
}
