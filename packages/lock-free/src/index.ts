/** Any object, taken and returned in plain code, without a fiber and without ever waiting. */
export * as LockFreePool from "./LockFreePool.ts"
