/** Worker threads as fresh instances. */
export * as WorkerInstancePool from "./WorkerInstancePool.ts"
