/** Where the memory of an arena comes from: four backings, and the interface for one's own. */
export * as ArenaBacking from "./ArenaBacking.ts"
/** What can go wrong with an arena. */
export * as ArenaError from "./ArenaError.ts"
/** Arenas that are handed out, emptied and handed out again. */
export * as ArenaPool from "./ArenaPool.ts"
/** Memory for one unit of work, allocated by moving a cursor and freed all at once. */
export * as BumpArena from "./BumpArena.ts"
