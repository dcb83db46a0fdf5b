/** What is measured: groups of cases that have their pools in common. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { makeArenas } from "./cases/arenas.ts"
import { makeContended } from "./cases/contended.ts"
import { makeCrowds } from "./cases/crowds.ts"
import { makeInstances } from "./cases/instances.ts"
import { makeKeyed } from "./cases/keyed.ts"
import { makeLockFree } from "./cases/lockFree.ts"
import { makeMemory } from "./cases/memory.ts"
import { makeObserved } from "./cases/observed.ts"
import { makePeers } from "./cases/peers.ts"
import { makePlugins } from "./cases/plugins.ts"
import { makeResourceCases } from "./cases/resources.ts"
import { makeRunaways } from "./cases/runaways.ts"
import { makeScoped } from "./cases/scoped.ts"
import { makeSemaphores } from "./cases/semaphores.ts"
import { makeShared } from "./cases/shared.ts"
import { makeStatements } from "./cases/statements.ts"
import { makeStart } from "./cases/start.ts"
import { makeUncontended } from "./cases/uncontended.ts"
import type { Case } from "./harness.ts"
import type { Effort, Settings } from "./settings.ts"

type MakeCases = (effort: Effort) => Effect.Effect<ReadonlyArray<Case>, unknown, Scope.Scope>

export const groups: Record<string, MakeCases> = {
  uncontended: makeUncontended,
  scoped: makeScoped,
  contended: makeContended,
  crowds: makeCrowds,
  peers: makePeers,
  semaphores: makeSemaphores,
  keyed: makeKeyed,
  statements: makeStatements,
  observed: makeObserved,
  instances: makeInstances,
  "lock-free": makeLockFree,
  plugins: makePlugins,
  runaways: makeRunaways,
  arenas: makeArenas,
  resources: makeResourceCases,
  shared: makeShared,
  start: makeStart,
  // Last: it collects all garbage, and with it compiled code.
  memory: makeMemory
}

/** What every pool stands on, and of which something can be said in half a minute. */
const checked = ["uncontended", "scoped", "contended", "crowds", "memory"]

/** The groups to be measured, and which of their cases. */
export const select = ({ isCheck, only }: Settings): readonly [ReadonlyArray<MakeCases>, (name: string) => boolean] => {
  const names = Object.keys(groups)
  const isWhole = (name: string) => (isCheck ? checked.includes(name) : only !== undefined && name.includes(only))
  const whole = names.filter(isWhole)
  const chosen = whole.length > 0 ? whole : names
  return [chosen.map((name) => groups[name]!), (name) => whole.length > 0 || only === undefined || name.includes(only)]
}
