/** Accounts for every item and every lease of a pool. */
export * as Auditor from "./Auditor.ts"
/** What an auditor has found. */
export * as AuditReport from "./AuditReport.ts"
/** What every kind of pool does, as cases that any pool can be put through. */
export * as Contract from "./Contract.ts"
/** A proxy that makes the network between a client and its server go wrong. */
export * as FaultProxy from "./FaultProxy.ts"
/** What a program keeps: memory, objects, active handles. */
export * as Footprint from "./Footprint.ts"
/** Every combination of how the steps of an item go, under cancellation. */
export * as GateCombinations from "./GateCombinations.ts"
/** A resource whose every step can be made to go wrong. */
export * as Gates from "./Gates.ts"
/** Interruption at every step of a program, and a look at what it leaves behind. */
export * as InterruptSweep from "./InterruptSweep.ts"
/** Finds what a test leaves behind in its pools. */
export * as LeakCheck from "./LeakCheck.ts"
/** Random commands against a pool and a model of what it has to do. */
export * as ModelRun from "./ModelRun.ts"
/** A pool in surroundings of its own, in which every trace of it shows. */
export * as Sandbox from "./Sandbox.ts"
/** Runs fibers step by step, by hand. */
export * as StepRuntime from "./StepRuntime.ts"
/** How the suites make and use a kind of pool. */
export * as Subject from "./Subject.ts"
/** A pool of fakes: for applications' tests, and the plainest example of a kind of pool. */
export * as TestPool from "./TestPool.ts"
