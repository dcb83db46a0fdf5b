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
  const isConnection = kind === "connection"
  const prefix = isConnection ? "db.client.connection" : "pool"
  const attributes: Record<string, string> = isConnection
    ? { "db.client.connection.pool.name": admission.name }
    : { "pool.name": admission.name, "pool.kind": kind }
  const registrations: Array<Metric.Registration> = []

  const gauge = (suffix: string, value: () => number, more?: Record<string, string>): void => {
    const metric = Metric.gauge(`${prefix}.${suffix}`, { attributes: { ...attributes, ...more } })
    registrations.push(
      Metric.registerUnsafe(
        metric,
        context,
        hooks(() => ({ value: value() }))
      )
    )
  }
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

  const { observer, store } = admission
  gauge("count", () => (store.figures?.() ?? admission).idle, { [`${prefix}.state`]: "idle" })
  gauge("count", () => (store.figures?.() ?? admission).used, { [`${prefix}.state`]: "used" })
  gauge("idle.min", () => admission.min)
  // No pool here bounds its idle items apart from all its items.
  gauge("idle.max", () => admission.max)
  gauge("max", () => admission.max)
  gauge("pending_requests", () => (store.figures?.() ?? admission).pending)
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
