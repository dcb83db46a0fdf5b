/**
 * A consistent snapshot of a pool, as a Schema, so that it travels as JSON.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { destroyReasons } from "./PoolEvent.ts"

/**
 * A distribution of durations in milliseconds since the pool was made. Quantiles lie within 3.2 % of the true value;
 * all are 0 while `count` is.
 *
 * @category schemas
 * @since 0.1.0
 */
export const TimeSummary = Schema.Struct({
  count: Schema.Number,
  mean: Schema.Number,
  p50: Schema.Number,
  p95: Schema.Number,
  p99: Schema.Number,
  max: Schema.Number
})

/**
 * How many items were destroyed, by reason.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Destroyed = Schema.Record(Schema.Literals(destroyReasons), Schema.Number)

/**
 * @category models
 * @since 0.1.0
 */
export type Destroyed = typeof Destroyed.Type

/**
 * **Details**
 *
 * - `idle`, `used`, `creating`, `destroying`: items by state; together they never exceed `max`
 * - `size`: idle + used
 * - `pending`: callers waiting
 * - `acquired`, `released`, `created`, `createFailed`, `timeouts`, `exhausted`, `destroyed`: totals since start
 * - `wait`, `use`, `create`: times in milliseconds. `wait` counts every lease, those that did not wait as 0.
 * - `details`: what only this kind of pool has
 *
 * @category schemas
 * @since 0.1.0
 */
export const PoolStats = Schema.Struct({
  name: Schema.String,
  kind: Schema.String,
  state: Schema.Literals(["open", "suspended", "draining", "closed"]),
  min: Schema.Number,
  max: Schema.Number,
  idle: Schema.Number,
  used: Schema.Number,
  creating: Schema.Number,
  destroying: Schema.Number,
  pending: Schema.Number,
  size: Schema.Number,
  acquired: Schema.Number,
  released: Schema.Number,
  created: Schema.Number,
  createFailed: Schema.Number,
  timeouts: Schema.Number,
  exhausted: Schema.Number,
  destroyed: Destroyed,
  wait: TimeSummary,
  use: TimeSummary,
  create: TimeSummary,
  details: Schema.Record(Schema.String, Schema.Union([Schema.Number, Schema.Boolean, Schema.String]))
})

/**
 * @category models
 * @since 0.1.0
 */
export interface PoolStats extends Schema.Schema.Type<typeof PoolStats> {}
