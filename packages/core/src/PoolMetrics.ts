/**
 * A pool's numbers as Effect metrics, named by the OpenTelemetry semantic conventions for client connection pools.
 *
 * They are read when somebody exports them, from numbers that the pool keeps anyway.
 *
 * | metric | kind | unit |
 * |---|---|---|
 * | `db.client.connection.count`, attribute `db.client.connection.state` = `idle` or `used` | gauge | connections |
 * | `db.client.connection.idle.min`, `.idle.max`, `.max` | gauge | connections |
 * | `db.client.connection.pending_requests` | gauge | requests |
 * | `db.client.connection.timeouts` | counter | timeouts |
 * | `db.client.connection.create_time`, `.wait_time`, `.use_time` | histogram | seconds |
 *
 * All carry `db.client.connection.pool.name`. Pools of other things than connections have the prefix `pool.`, the
 * attribute `pool.state`, and carry `pool.name` and `pool.kind`.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Admission } from "./Admission.ts"
import type { Histogram } from "./data/Histogram.ts"

/** The boundaries that the semantic conventions advise for these histograms, in seconds. */
const BOUNDARIES = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
const BOUNDARIES_IN_MILLIS = BOUNDARIES.map((seconds) => seconds * 1000)

/**
 * What the gauges tell, each when it is asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  readonly idle: () => number
  readonly used: () => number
  readonly max: () => number
  readonly pending: () => number
}

/** The names of metrics are made once, not for each of what may be many pools. */
const namesWith = (prefix: string) => ({
  state: `${prefix}.state`,
  count: `${prefix}.count`,
  max: `${prefix}.max`,
  pending: `${prefix}.pending_requests`,
  idleMin: `${prefix}.idle.min`,
  idleMax: `${prefix}.idle.max`,
  timeouts: `${prefix}.timeouts`,
  createTime: `${prefix}.create_time`,
  waitTime: `${prefix}.wait_time`,
  useTime: `${prefix}.use_time`
})

const connections = namesWith("db.client.connection")
const others = namesWith("pool")

/** How the metrics of a pool are named, and which attributes all of them have. */
interface Series {
  readonly names: ReturnType<typeof namesWith>
  readonly attributes: Record<string, string>
}

const seriesOf = (name: string, kind: string): Series =>
  kind === "connection"
    ? { names: connections, attributes: { "db.client.connection.pool.name": name } }
    : { names: others, attributes: { "pool.name": name, "pool.kind": kind } }

/**
 * Registers the gauges `count`, `max` and `pending_requests` of what is no pool but is counted like one; the returned
 * function takes them out again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const registerCountsUnsafe = (
  name: string,
  kind: string,
  counts: Counts,
  context: Context.Context<never>
): (() => void) => removing(registerCounts(seriesOf(name, kind), counts, context))

const registerCounts = (
  { attributes, names }: Series,
  { idle, max, pending, used }: Counts,
  context: Context.Context<never>
): ReadonlyArray<Metric.Registration> => {
  const inState = (state: string) => ({ attributes: { ...attributes, [names.state]: state } })
  return [
    register(Metric.gauge(names.count, inState("idle")), context, () => ({ value: idle() })),
    register(Metric.gauge(names.count, inState("used")), context, () => ({ value: used() })),
    register(Metric.gauge(names.max, { attributes }), context, () => ({ value: max() })),
    register(Metric.gauge(names.pending, { attributes }), context, () => ({ value: pending() }))
  ]
}

const removing = (registrations: ReadonlyArray<Metric.Registration>) => (): void => {
  for (const registration of registrations) registration.remove()
}

/**
 * Registers a pool's metrics; the returned function takes them out again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const registerUnsafe = (
  admission: Admission<any, any>,
  kind: string,
  context: Context.Context<never>
): (() => void) => {
  const { observer, store } = admission
  const series = seriesOf(admission.name, kind)
  const { attributes, names } = series
  const timed = { attributes: { ...attributes, unit: "s" }, boundaries: BOUNDARIES }
  const counts: Counts = {
    idle: () => (store.figures?.() ?? admission).idle,
    used: () => (store.figures?.() ?? admission).used,
    max: () => admission.max,
    pending: () => (store.figures?.() ?? admission).pending
  }
  return removing([
    ...registerCounts(series, counts, context),
    register(Metric.gauge(names.idleMin, { attributes }), context, () => ({ value: admission.min })),
    // No pool here bounds its idle items apart from all its items.
    register(Metric.gauge(names.idleMax, { attributes }), context, () => ({ value: admission.max })),
    register(Metric.counter(names.timeouts, { attributes }), context, () => ({
      count: (store.figures?.() ?? observer).timeouts,
      incremental: true
    })),
    register(Metric.histogram(names.createTime, timed), context, () => inSeconds(observer.create)),
    register(Metric.histogram(names.waitTime, timed), context, () => inSeconds(observer.wait)),
    register(Metric.histogram(names.useTime, timed), context, () => inSeconds(observer.use))
  ])
}

const ignore = (): void => {}

/** These metrics are only read: updates from elsewhere change nothing. */
const register = <State>(
  metric: Metric.Metric<number, State>,
  context: Context.Context<never>,
  get: () => State
): Metric.Registration => Metric.registerUnsafe(metric, context, { get, update: ignore, modify: ignore })

const inSeconds = (values: Histogram): Metric.HistogramState => {
  const counts = values.countsAtMost(BOUNDARIES_IN_MILLIS)
  return {
    buckets: BOUNDARIES.map((boundary, index): [number, number] => [boundary, counts[index]!]),
    count: values.count,
    min: values.count === 0 ? 0 : values.min / 1000,
    max: values.max / 1000,
    sum: values.sum / 1000
  }
}
