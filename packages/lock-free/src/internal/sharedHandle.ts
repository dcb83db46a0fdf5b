import * as Schema from "effect/Schema"
import { Layout, type SharedKind } from "./sharedLayout.ts"
import { faultOfMemory, type Memory } from "./sharedMemory.ts"

/**
 * What was to be attached is not a handle of this kind, or not of this version, or there is no place left.
 *
 * @category errors
 * @since 0.1.0
 */
export class AttachError extends Schema.TaggedError<AttachError>("effect-pools/SharedPool/AttachError")("AttachError", {
  problem: Schema.String
}) {
  override get message(): string {
    return `The shared structure can't be attached: ${this.problem}`
  }
}

/** What every handle of a shared structure is made of. */
export interface HandleParts extends Memory {
  readonly name: string
}

/** The parts of a handle and its layout; throws {@link AttachError} for what is none. */
export const readHandle = (handle: unknown, kind: SharedKind): HandleParts & { readonly layout: Layout } => {
  if (typeof handle !== "object" || handle === null) throw new AttachError({ problem: "it is no handle" })
  const { control, data, name } = handle as Partial<HandleParts>
  if (typeof name !== "string") throw new AttachError({ problem: "it is no handle" })
  const fault = faultOfMemory({ control: control!, data: data! }, kind)
  if (fault !== undefined) throw new AttachError({ problem: fault })
  return { name, control: control!, data: data!, layout: new Layout(control!) }
}
