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

/** How the metrics of a kind are named, and which attributes they have. */
const namesOf = (
  name: string,
  kind: string
): { readonly prefix: string; readonly attributes: Record<string, string> } =>
  kind === "connection"
    ? { prefix: "db.client.connection", attributes: { "db.client.connection.pool.name": name } }
    : { prefix: "pool", attributes: { "pool.name": name, "pool.kind": kind } }

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
  { idle, max, pending, used }: Counts,
  context: Context.Context<never>
): (() => void) => {
  const { attributes, prefix } = namesOf(name, kind)
  const gauge = gaugesOf(prefix, attributes, context)
  const registrations = [
    gauge("count", idle, { [`${prefix}.state`]: "idle" }),
    gauge("count", used, { [`${prefix}.state`]: "used" }),
    gauge("max", max),
    gauge("pending_requests", pending)
  ]
  return () => {
    for (const registration of registrations) registration.remove()
  }
}

const gaugesOf =
  (prefix: string, attributes: Record<string, string>, context: Context.Context<never>) =>
  (suffix: string, value: () => number, more?: Record<string, string>): Metric.Registration =>
    Metric.registerUnsafe(
      Metric.gauge(`${prefix}.${suffix}`, { attributes: { ...attributes, ...more } }),
      context,
      hooks(() => ({ value: value() }))
    )

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
  const { attributes, prefix } = namesOf(admission.name, kind)
  const forgetCounts = registerCountsUnsafe(
    admission.name,
    kind,
    {
      idle: () => (store.figures?.() ?? admission).idle,
      used: () => (store.figures?.() ?? admission).used,
      max: () => admission.max,
      pending: () => (store.figures?.() ?? admission).pending
    },
    context
  )
  const gauge = gaugesOf(prefix, attributes, context)
  const registrations: Array<Metric.Registration> = [
    gauge("idle.min", () => admission.min),
    // No pool here bounds its idle items apart from all its items.
    gauge("idle.max", () => admission.max)
  ]
  const histogram = (suffix: string, values: Histogram): void => {
    const metric = Metric.histogram(`${prefix}.${suffix}`, {
      attributes: { ...attributes, unit: "s" },
      boundaries: BOUNDARIES
    })
    registrations.push(
      Metric.registerUnsafe(
        metric,
        context,
        hooks(() => inSeconds(values))
      )
    )
  }

  const timeouts = Metric.counter(`${prefix}.timeouts`, { attributes })
  registrations.push(
    Metric.registerUnsafe(
      timeouts,
      context,
      hooks(() => ({ count: (store.figures?.() ?? observer).timeouts, incremental: true }))
    )
  )
  histogram("create_time", observer.create)
  histogram("wait_time", observer.wait)
  histogram("use_time", observer.use)

  return () => {
    forgetCounts()
    for (const registration of registrations) registration.remove()
  }
}

const ignore = (): void => {}

/** These metrics are only read: updates from elsewhere change nothing. */
const hooks = <State>(get: () => State): Metric.Metric.Hooks<number, State> => ({ get, update: ignore, modify: ignore })

const inSeconds = (values: Histogram): Metric.HistogramState => ({
  buckets: BOUNDARIES.map((boundary): [number, number] => [boundary, values.countAtMost(boundary * 1000)]),
  count: values.count,
  min: values.count === 0 ? 0 : values.min / 1000,
  max: values.max / 1000,
  sum: values.sum / 1000
})
