/** What is said of a set of samples. Quartiles rather than a deviation: timings have a long tail on one side only. */
export interface Spread {
  readonly samples: number
  readonly min: number
  readonly p25: number
  readonly median: number
  readonly p75: number
}

export const spreadOf = (samples: ReadonlyArray<number>): Spread => {
  const sorted = samples.toSorted((a, b) => a - b)
  return {
    samples: sorted.length,
    min: quantile(sorted, 0),
    p25: quantile(sorted, 0.25),
    median: quantile(sorted, 0.5),
    p75: quantile(sorted, 0.75)
  }
}

/** Between two neighbours the value is interpolated. */
const quantile = (sorted: ReadonlyArray<number>, q: number): number => {
  if (sorted.length === 0) throw new Error("No samples")
  const place = q * (sorted.length - 1)
  const below = Math.floor(place)
  const low = sorted[below]!
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!
  return low + (high - low) * (place - below)
}
