import { globSync } from "node:fs"
import { basename, dirname } from "node:path"
import { defineConfig } from "oxlint"

type Room = {
  /** The packages of this workspace that it may import; private applications may import any. */
  readonly imports: ReadonlyArray<string> | "any"
  /** Whether `effect` is all that it may import besides: such a package runs in a browser too. */
  readonly effectOnly?: boolean
  /**
   * Whether it may import them as a whole. Applications are bundled with the others, which import each module by its own
   * entry: of an index file not every bundler leaves out what is not used.
   */
  readonly asAWhole?: boolean
}

/** Who may import whom. */
const rooms: Record<string, Room> = {
  core: { imports: [], effectOnly: true },
  connection: { imports: ["core"], effectOnly: true },
  instance: { imports: ["core"], effectOnly: true },
  arena: { imports: ["core"], effectOnly: true },
  "lock-free": { imports: ["core"] },
  resource: { imports: ["core"], effectOnly: true },
  testing: { imports: ["core"], asAWhole: true },
  postgres: { imports: ["connection", "core"] },
  wasm: { imports: ["instance", "core"] },
  worker: { imports: ["instance", "core"] },
  bench: { imports: "any" },
  demo: { imports: "any" }
}

for (const manifest of globSync("packages/*/package.json", { cwd: import.meta.dirname })) {
  const name = basename(dirname(manifest))
  if (!(name in rooms)) throw new Error(`oxlint.config.ts does not say what packages/${name} may import`)
}

const otherPackagesFiles = {
  regex: String.raw`^(\.\.?/)+[^./][^/]*/(src|test|typetest|dist)(/|$)`,
  message: "Import another package by its name."
}

const deepImports = {
  regex: "^@effect-pools/[^/]+/(internal|src|dist)/",
  message: "Import a public module: a package's internals are its own."
}

const restrictedImports = (...patterns: ReadonlyArray<object>) => ({
  "eslint/no-restricted-imports": ["error", { patterns: [otherPackagesFiles, deepImports, ...patterns] }] as [
    "error",
    object
  ]
})

const named = (names: ReadonlyArray<string>) => names.map((name) => `@effect-pools/${name}`)
const modulesOf = (names: ReadonlyArray<string>) => named(names).map((name) => `${name}/**`)
const except = (names: ReadonlyArray<string>) => names.map((name) => `!${name}`)

const boundaries = Object.entries(rooms).flatMap(([name, { asAWhole = false, effectOnly = false, imports }]) => {
  if (imports === "any") return []
  const allowed = [...(asAWhole ? named(imports) : []), ...modulesOf(imports)]
  const source = {
    group: effectOnly
      ? ["**", "!./**", "!../**", "!effect", "!effect/**", ...except(allowed)]
      : ["@effect-pools/**", ...except(allowed)],
    message: `${name} may import only ${[...(effectOnly ? ["effect"] : []), ...allowed].join(", ")}.`
  }
  const mayTest = [name, ...imports, "testing"]
  const tests = {
    group: ["@effect-pools/**", ...except([...named(mayTest), ...modulesOf(mayTest)])],
    message: `The tests of ${name} may import only ${named(mayTest).join(", ")}.`
  }
  return [
    { files: [`packages/${name}/src/**`], rules: restrictedImports(source) },
    { files: [`packages/${name}/{test,typetest}/**`], rules: restrictedImports(tests) }
  ]
})

export default defineConfig({
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "vitest"],
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: "error" },
  categories: { correctness: "error" },
  ignorePatterns: ["**/dist"],
  rules: {
    "eslint/no-unused-vars": [
      "error",
      { argsIgnorePattern: "^_", varsIgnorePattern: "^_", caughtErrorsIgnorePattern: "^_" }
    ],
    "eslint/no-var": "error",
    "eslint/prefer-const": ["error", { ignoreReadBeforeAssign: true }],
    // Of what is left when types are erased: two modules may know each other's types.
    "import/no-cycle": ["error", { ignoreTypes: true }],
    "import/no-duplicates": "error",
    "typescript/consistent-type-exports": "error",
    "typescript/consistent-type-imports": "error",
    "typescript/no-import-type-side-effects": "error",
    "unicorn/prefer-node-protocol": "error",
    "vitest/no-focused-tests": "error",
    ...restrictedImports(),

    // A generator without `yield*` is still an effect.
    "eslint/require-yield": "off",
    // `options?: Options | undefined` is how optional parameters are written with exactOptionalPropertyTypes.
    "typescript/no-duplicate-type-constituents": "off",
    // Assertions come from several libraries and stand in generators, properties and helpers.
    "vitest/expect-expect": "off",
    "vitest/no-standalone-expect": "off"
  },
  overrides: [
    ...boundaries,
    {
      files: ["packages/*/{test,typetest}/**"],
      // `it.effect.only` and its siblings, which vitest/no-focused-tests does not know.
      rules: {
        "eslint/no-restricted-properties": ["error", { property: "only", message: "Remove the focus from the test." }]
      }
    }
  ]
})
