/**
 * What the shop and its copiers tell each other of frames. The bytes are not told: both threads have the pool.
 */
import { crc32 } from "node:zlib"

/**
 * Told to a copier: a frame of so many bytes is in a slot, or a copy is not needed any more.
 */
export type Order =
  | { readonly order: "copy"; readonly frame: number; readonly slot: number; readonly length: number }
  | { readonly order: "release"; readonly frame: number }

/**
 * Told by a copier when it has the pool.
 */
export const ready = "ready"

/**
 * Told by a copier: the slot in which it keeps the copy until it is told that it is not needed any more.
 */
export interface Copy {
  readonly frame: number
  readonly slot: number
  /** Of the copy, as the copier sees it. */
  readonly checksum: number
}

export const checksumOf = (bytes: Uint8Array): number => crc32(bytes)
