/**
 * Where receipts go: a file that nobody else sees, and that is gone with the program, however it ends.
 */
import { randomUUID } from "node:crypto"
import { open as openFile, unlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Printer {
  /** Writes the bytes behind all others, and answers where they are. They are in use until it ends. */
  readonly print: (bytes: Uint8Array) => Effect.Effect<number>
  readonly read: (position: number, length: number) => Effect.Effect<Buffer>
  readonly size: Effect.Effect<number>
}

export const open: Effect.Effect<Printer, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const path = join(tmpdir(), `effect-pools-receipts-${randomUUID()}`)
      const file = await openFile(path, "wx+", 0o600)
      await unlink(path)
      return file
    }),
    (file) => Effect.promise(() => file.close())
  ),
  (file) => {
    let end = 0
    return {
      print: (bytes) =>
        Effect.suspend(() => {
          const position = end
          end += bytes.length
          // The system reads the memory until it says that it is done: nobody else may have it before.
          return Effect.uninterruptible(
            Effect.as(
              Effect.promise(() => writeAll(file, bytes, position)),
              position
            )
          )
        }),
      read: (position, length) =>
        Effect.promise(async () => (await file.read(Buffer.alloc(length), 0, length, position)).buffer),
      size: Effect.promise(async () => (await file.stat()).size)
    }
  }
)

type File = Awaited<ReturnType<typeof openFile>>

const writeAll = async (file: File, bytes: Uint8Array, position: number): Promise<void> => {
  for (let written = 0; written < bytes.length;) {
    written += (await file.write(bytes, written, bytes.length - written, position + written)).bytesWritten
  }
}
