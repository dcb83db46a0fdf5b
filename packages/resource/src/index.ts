/** One of many named resources that share a cap: taken, put back, released. */
export * as Resource from "./Resource.ts"
/** The cap that many named resources share. */
export * as ResourcePool from "./ResourcePool.ts"
