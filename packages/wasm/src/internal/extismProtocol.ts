/** What the application and a plugin's thread say to each other. */
import type { Kind } from "../WasmTrap.ts"
import type { Blueprint, LogLevel, Outcome, Value } from "./extismGuest.ts"
import { kindOfTrap } from "./kindOfTrap.ts"

/** What a thread is started with. */
export interface ThreadData {
  readonly blueprint: Blueprint
  /** Where the answers of host functions arrive, and the flag that is raised when one has. */
  readonly answers: unknown
  readonly flag: Int32Array<SharedArrayBuffer>
}

/** To the thread. */
export interface Call {
  readonly name: string
  readonly input: string | Uint8Array
}

/** From the thread. */
export type FromThread =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Ended"; readonly outcome: Outcome }
  | { readonly _tag: "Threw"; readonly thrown: Thrown }
  /** What came of the function of the host that has failed last. */
  | { readonly _tag: "HostThrew" }
  | HostCall
  /** It is answered too: a guest that logs without end would leave no time for anything else. */
  | { readonly _tag: "Log"; readonly level: LogLevel; readonly message: string }

/** A function of the host is called, with what is in the blocks that its arguments point to. */
export interface HostCall {
  readonly _tag: "HostCall"
  readonly namespace: string
  readonly name: string
  readonly values: ReadonlyArray<Value>
  readonly blocks: ReadonlyArray<readonly [address: bigint, bytes: Uint8Array<ArrayBuffer>]>
  /** How many bytes a block could have that it stores. */
  readonly room: number
}

/** What it answers, with the blocks that it has stored; nothing if it failed. */
export interface HostAnswer {
  readonly value: Value | undefined
  readonly stored: ReadonlyArray<Uint8Array>
}

/**
 * What the host has stored has no address before the thread has put it into the plugin's memory. Till then the host's
 * functions know it by a number that no address is: a place within the last block there can be.
 */
export const provisional = (index: number): bigint => (0x7fffn << 48n) + BigInt(index + 1)

/** The number of the block that an address is in. */
export const blockOf = (address: bigint): bigint => address >> 48n

/** Which of the blocks stored a number stands for, if it stands for one. */
export const storedIndex = (value: Value, stored: ReadonlyArray<unknown>): number | undefined => {
  if (typeof value !== "bigint") return undefined
  const index = Number(value - provisional(0))
  return index >= 0 && index < stored.length ? index : undefined
}

/** Errors of WebAssembly's, and what is no error at all, don't survive being sent. */
export interface Thrown {
  readonly kind: Kind
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
}

export const toThrown = (cause: unknown): Thrown => {
  const kind = kindOfTrap(cause)
  return cause instanceof Error
    ? { kind, name: cause.name, message: cause.message, stack: cause.stack }
    : { kind, name: "Error", message: String(cause), stack: undefined }
}

export const fromThrown = ({ message, name, stack }: Thrown): Error =>
  Object.assign(new Error(message), { name, ...(stack === undefined ? {} : { stack }) })
