/** A cap on how many fresh instances live at once. */
export * as InstancePool from "./InstancePool.ts"
