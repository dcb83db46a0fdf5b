/** Any object, taken and returned in plain code, without a fiber and without ever waiting. */
export * as LockFreePool from "./LockFreePool.ts"
/** Slots of memory that all threads of a process share. */
export * as SharedPool from "./SharedPool.ts"
/** One cap for all threads of a process. */
export * as SharedPermits from "./SharedPermits.ts"
