import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { groups } from "./cases.ts"

/** What a case has left behind. */
export interface Report {
  readonly name: string
  /** How many units were measured, and the bytes that stayed with each. */
  readonly units: number
  readonly perUnit: number
  /** Active handles that were not there before. */
  readonly active: ReadonlyArray<string>
  /** The bytes that stayed with each unit of pools that were made to keep something. */
  readonly planted: number
}

/** How many objects of each class are left when all cases are over. */
export type Objects = Record<"pools" | "leases" | "waiters" | "connections" | "fibers", number>

const child = fileURLToPath(new URL("./child.ts", import.meta.url))

/** Runs a group of cases, one after the other, in a process of its own. */
export const start = (group: keyof typeof groups) => {
  const reports = new Map(groups[group].map(({ name }) => [name, Promise.withResolvers<Report>()]))
  const objects = Promise.withResolvers<Objects>()
  const all = [...reports.values(), objects]
  // Whoever asks for one that is missing is told.
  for (const { promise } of all) promise.catch(() => {})

  // A thread that compiles beside them takes memory at any time, and more than some cases have in a round.
  const flags = ["--single-threaded", "--disable-warning=ExperimentalWarning"]
  const running = spawn(process.execPath, [...flags, child, group])
  let errors = ""
  running.stderr.on("data", (chunk) => (errors += String(chunk)))
  createInterface({ input: running.stdout }).on("line", (line) => {
    const answer = JSON.parse(line) as Report | Objects
    if ("name" in answer) reports.get(answer.name)?.resolve(answer)
    else objects.resolve(answer)
  })
  const exitCode = new Promise<number | null>((resolve) => running.once("close", resolve))
  void exitCode.then((code) => {
    for (const { reject } of all) reject(new Error(`The process of the ${group} ended with ${code}\n${errors}`))
  })
  return {
    report: (name: string) => reports.get(name)!.promise,
    objects: objects.promise,
    exitCode,
    stop: () => running.kill("SIGKILL")
  }
}
