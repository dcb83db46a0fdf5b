/** The results as pictures, in colours that can be read on a light and on a dark page. */
import { parse, View } from "vega"
import { compile, type Config, type TopLevelSpec } from "vega-lite"
import { goalsOf } from "./goals.ts"
import type { CaseResult } from "./harness.ts"

export interface Plot {
  /** Beside the results. */
  readonly file: string
  readonly title: string
  readonly subtitle: string
  /** The room for the names on the left, in pixels, and the one for a legend on the right. */
  readonly left: number
  readonly right: number
  readonly describe: (cases: ReadonlyArray<CaseResult>) => object
}

/** As SVG: the same for the same results. */
export const draw = async (plot: Plot, cases: ReadonlyArray<CaseResult>): Promise<string> => {
  const { describe, left, right, subtitle, title } = plot
  const described = {
    // Without a browser nobody knows how wide a text is, so nothing is made to fit around texts.
    autosize: "none",
    padding: { left, right, top: 64, bottom: 44 },
    title: { text: title, subtitle, dx: MARGIN - left, dy: -4 },
    width: WIDTH,
    ...describe(cases)
  } as TopLevelSpec
  const view = new View(parse(compile(described, { config }).spec), { renderer: "none" })
  const svg = await view.toSVG()
  view.finalize()
  return `${svg}\n`
}

const WIDTH = 460
const MARGIN = 12

const TEXT = "#6e7781"
const FAINT = "#8b949e40"
const GREY = "#8b949e"
const BLUE = "#388bfd"
const ORANGE = "#db6d28"
const GREEN = "#2da44e"
const PURPLE = "#a371f7"
const RED = "#e5534b"

const config: Config = {
  font: "Helvetica, Arial, sans-serif",
  background: "transparent",
  view: { stroke: null },
  title: {
    color: TEXT,
    subtitleColor: TEXT,
    anchor: "start",
    frame: "group",
    fontSize: 15,
    subtitleFontSize: 12,
    subtitlePadding: 6
  },
  axis: {
    labelColor: TEXT,
    titleColor: TEXT,
    domainColor: FAINT,
    gridColor: FAINT,
    tickColor: FAINT,
    labelFontSize: 11,
    titleFontSize: 12,
    titleFontWeight: "normal",
    labelLimit: 0
  },
  legend: {
    labelColor: TEXT,
    labelFontSize: 12,
    labelLimit: 0,
    title: null,
    symbolOpacity: 1,
    symbolStrokeWidth: 3
  }
}

const quartiles = "Medians, with quartiles"

/** What is drawn in a row, with the heading that it stands under. */
interface Row {
  readonly heading: string
  readonly name: string
}

/** Rows under their headings, which are rows of their own, in the order of the results. */
const inRows = <A extends Row>(rows: ReadonlyArray<A>) => {
  const rowed = rows.map((row) => ({ ...row, row: `${row.heading}\n${row.name}` }))
  return {
    height: { step: 17 },
    data: { values: rowed },
    y: {
      field: "row",
      type: "nominal",
      scale: { domain: [...new Set(rowed.flatMap(({ heading, row }) => [heading, row]))] },
      axis: {
        title: null,
        labelExpr: "slice(split(datum.label, '\\n'), -1)",
        labelFontWeight: { condition: { test: "indexof(datum.label, '\\n') < 0", value: "bold" }, value: "normal" },
        domain: false,
        ticks: false
      }
    }
  }
}

const resultOf = (cases: ReadonlyArray<CaseResult>, name: string): CaseResult => {
  const found = cases.find((case_) => case_.name === name)
  if (found === undefined) throw new Error(`There are no results of the case "${name}"`)
  return found
}

/** Farther away it does not matter how far. What remains of a cost when another is subtracted may even be negative. */
const inSight = (value: number): number => Math.min(Math.max(value, 0.05), 1000)

const goals: Plot = {
  file: "goals.svg",
  title: "What was measured, divided by the goal",
  subtitle: `${quartiles}. A goal is met on the line and right of it.`,
  left: 480,
  right: 90,
  describe: (cases) => {
    const scale = { type: "log" }
    const { y, ...rows } = inRows(
      goalsOf(cases).map(({ against, goal, isMet, name, ratio, title }) => ({
        heading: title,
        name: `${name} against ${against}`,
        low: inSight(ratio.p25 / goal),
        median: inSight(ratio.median / goal),
        high: inSight(ratio.p75 / goal),
        verdict: isMet ? "met" : "not met"
      }))
    )
    return {
      ...rows,
      encoding: {
        y,
        color: { field: "verdict", scale: { domain: ["met", "not met"], range: [GREEN, RED] } }
      },
      layer: [
        { mark: { type: "rule", color: GREY, strokeWidth: 1.5 }, encoding: { x: { datum: 1 }, y: null, color: null } },
        {
          mark: { type: "rule", strokeWidth: 2 },
          encoding: { x: { field: "low", type: "quantitative", scale }, x2: { field: "high" } }
        },
        {
          mark: { type: "point", filled: true, size: 70, opacity: 1 },
          encoding: {
            x: { field: "median", type: "quantitative", scale, axis: { title: "ratio / goal", format: "~g" } }
          }
        }
      ]
    }
  }
}

const colorOf = (name: string): string =>
  name.startsWith("ConnectionPool") ? BLUE : name.startsWith("Pool") ? ORANGE : GREY

/** The medians of some cases, each with its quartiles, and with nothing of what measuring itself costs. */
const bars =
  (names: ReadonlyArray<string>): Plot["describe"] =>
  (cases) => {
    const { y, ...rows } = inRows(
      names.flatMap((case_) => {
        const { contenders, title } = resultOf(cases, case_)
        return contenders.flatMap(({ name, net }) =>
          net === undefined
            ? []
            : [{ heading: title, name, color: colorOf(name), low: net.p25, median: net.median, high: net.p75 }]
        )
      })
    )
    return {
      ...rows,
      encoding: { y },
      layer: [
        {
          mark: "bar",
          encoding: {
            x: { field: "median", type: "quantitative", axis: { title: null } },
            color: { field: "color", scale: null }
          }
        },
        {
          mark: { type: "rule", strokeWidth: 2, color: TEXT },
          encoding: { x: { field: "low", type: "quantitative" }, x2: { field: "high" } }
        }
      ]
    }
  }

const uncontended: Plot = {
  file: "uncontended.svg",
  title: "A lease without contention, in ns, net of the loop",
  subtitle: `${quartiles}. One fiber, ten idle items. Grey is what Effect takes for the shape of a lease alone.`,
  left: 260,
  right: MARGIN,
  describe: bars(["use-built-once", "use-built-per-call", "get-in-a-scope"])
}

const memory: Plot = {
  file: "memory.svg",
  title: "What a waiter and an idle item keep in memory, in bytes",
  subtitle: `${quartiles}. Net of what waits, or lies idle, without a pool.`,
  left: 260,
  right: MARGIN,
  describe: bars(["memory-waiters", "memory-idle"])
}

interface Growth {
  /** How the names of the cases begin that are measured with more and more of something; its number follows. */
  readonly prefix: string
  readonly across: string
  /** Whose costs, and in which colours. */
  readonly contenders: Readonly<Record<string, string>>
  readonly isLogarithmic?: boolean
}

const growth =
  ({ across, contenders, isLogarithmic = false, prefix }: Growth): Plot["describe"] =>
  (cases) => {
    const values = cases.flatMap((case_) => {
      const number = Number(case_.name.slice(prefix.length))
      if (!case_.name.startsWith(prefix) || Number.isNaN(number)) return []
      return case_.contenders
        .filter(({ name }) => name in contenders)
        .map(({ cost, name }) => ({ number, name, low: cost.p25, median: cost.median, high: cost.p75 }))
    })
    for (const name of Object.keys(contenders)) {
      if (!values.some((value) => value.name === name)) {
        throw new Error(`There are no results of "${name}" in cases "${prefix}…"`)
      }
    }
    const numbers = [...new Set(values.map(({ number }) => number))]
    const y = {
      type: "quantitative",
      scale: isLogarithmic ? { type: "log" } : {},
      axis: { title: null, ...(isLogarithmic ? { values: [10, 100, 1000, 10_000, 100_000] } : {}) }
    }
    return {
      height: 260,
      data: { values },
      encoding: {
        x: {
          field: "number",
          type: "quantitative",
          scale: { type: "log", nice: false },
          axis: { title: across, values: numbers, grid: false, format: ",d" }
        },
        color: {
          field: "name",
          scale: { domain: Object.keys(contenders), range: Object.values(contenders) },
          legend: { symbolType: "stroke" }
        }
      },
      layer: [
        {
          mark: { type: "rule", strokeWidth: 5, opacity: 0.4 },
          encoding: { y: { ...y, field: "low" }, y2: { field: "high" } }
        },
        {
          mark: { type: "line", strokeWidth: 2, point: { size: 50 } },
          encoding: { y: { ...y, field: "median" } }
        }
      ]
    }
  }

const contended: Plot = {
  file: "contended.svg",
  title: "A lease under contention, in ns, by the number of fibers on ten items",
  subtitle: `${quartiles}. Whoever has an item yields once. The floor is to be woken and to yield, without a pool.`,
  left: 70,
  right: 190,
  describe: growth({
    prefix: "contended-",
    across: "fibers",
    contenders: { "ConnectionPool.use": BLUE, "Pool.use": ORANGE, "floor, all fibers at once": GREY }
  })
}

const peers: Plot = {
  file: "peers.svg",
  title: "A lease against pools of promises, in ns, by the number of callers on ten items",
  subtitle: `${quartiles}. Whoever has an item yields once: in a fiber, or by an awaited promise, which costs less.`,
  left: 70,
  right: 330,
  describe: growth({
    prefix: "peers-",
    across: "callers",
    contenders: {
      "ConnectionPool.use, its holder yields": BLUE,
      "ConnectionPool.use, its holder awaits a promise": RED,
      "generic-pool": ORANGE,
      tarn: GREEN,
      "lightning-pool": PURPLE,
      "pg-pool": GREY
    }
  })
}

const shared: Plot = {
  file: "shared.svg",
  title: "A slot that threads share, in ns, by the number of workers",
  subtitle: `${quartiles}, on a logarithmic scale. The time of all workers over all operations.`,
  left: 70,
  right: 190,
  describe: growth({
    prefix: "shared-",
    across: "workers",
    contenders: { SharedPool: BLUE, "lock (Atomics.wait)": ORANGE, messages: GREEN },
    isLogarithmic: true
  })
}

const bundles: Plot = {
  file: "bundles.svg",
  title: "What a pool adds to a program, in KB, minified, gzip",
  subtitle: "A service, one use of it and its layer, without effect. The line is the goal for ConnectionPool.",
  left: 120,
  right: 100,
  describe: (cases) => ({
    height: { step: 16 },
    data: {
      values: resultOf(cases, "bundle-gzip").contenders.flatMap(({ cost, name }) => {
        const [pool, bundler] = name.split(", ")
        return bundler === undefined ? [] : [{ pool, bundler, size: cost.median / 1000 }]
      })
    },
    encoding: {
      y: { field: "pool", type: "nominal", sort: null, axis: { title: null, domain: false, ticks: false } }
    },
    layer: [
      {
        mark: "bar",
        encoding: {
          x: { field: "size", type: "quantitative", axis: { title: "KB" } },
          yOffset: { field: "bundler" },
          color: { field: "bundler", scale: { range: [BLUE, GREY] } }
        }
      },
      { mark: { type: "rule", color: RED, strokeWidth: 2 }, encoding: { x: { datum: 15 }, y: null } }
    ]
  })
}

export const plots: ReadonlyArray<Plot> = [goals, uncontended, contended, peers, memory, shared, bundles]
