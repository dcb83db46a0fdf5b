/** The worker's side: serves a group of calls inside a worker thread. Also an entry of its own. */
export * as WorkerGuest from "./WorkerGuest.ts"
/** How a worker comes to its end before its time. */
export * as WorkerInstanceError from "./WorkerInstanceError.ts"
/** Worker threads as fresh instances. */
export * as WorkerInstancePool from "./WorkerInstancePool.ts"
