/**
 * A histogram with logarithmic buckets and bounded memory, for durations in milliseconds.
 *
 * Every power of two is divided into 16 equal buckets, read straight from the bits of the number as HdrHistogram does
 * (Gil Tene, https://hdrhistogram.github.io/HdrHistogram/), so recording takes no logarithm and no search. A reported
 * quantile is the middle of its bucket and lies within 3.2 % of the true value, from one microsecond to 49 days; smaller
 * values count as zero, larger ones as the largest bucket. Count, sum, minimum and maximum are exact.
 *
 * There are buckets for the powers of two between the smallest and the largest value so far, 128 bytes for each: durations
 * of one kind mostly lie within ten of the 42.
 *
 * @since 0.1.0
 */

const SUB_BITS = 4
const SUB_BUCKETS = 1 << SUB_BITS
const MIN_EXPONENT = -10
const MAX_EXPONENT = 32
const BUCKETS = (MAX_EXPONENT - MIN_EXPONENT) * SUB_BUCKETS
const SMALLEST = 2 ** MIN_EXPONENT
const EXPONENT_BIAS = 1023
const FIRST = (EXPONENT_BIAS + MIN_EXPONENT) << SUB_BITS

const float = new Float64Array(1)
const words = new Uint32Array(float.buffer)
float[0] = 1
const HIGH_WORD = words[1] === 0 ? 0 : 1

const zeros = (length: number): Array<number> => Array.from({ length }, () => 0)

/** Of a histogram that has no buckets yet. */
const NONE: Array<number> = []

/**
 * A summary of a {@link Histogram}. All values but `count` are milliseconds; they are 0 while nothing was recorded.
 *
 * @category models
 * @since 0.1.0
 */
export interface Summary {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/**
 * @category models
 * @since 0.1.0
 */
export class Histogram {
  /** Values of at most one microsecond. They are kept apart, so that a lease that never waited costs one increment. */
  zeros = 0
  sum = 0
  max = 0
  min = Infinity
  #rest = 0
  /** Of the buckets from `#first` on, whole powers of two. A plain array: a typed one weighs as much again, outside of the heap. */
  #buckets: Array<number> = NONE
  #first = 0

  get count(): number {
    return this.zeros + this.#rest
  }

  /** As `record(0)`. */
  recordZero(): void {
    this.zeros++
    this.min = 0
  }

  /** Records one duration in milliseconds. Negative values and NaN count as zero. */
  record(millis: number): void {
    if (millis > SMALLEST) return this.#recordSome(millis)
    this.recordZero()
  }

  #recordSome(millis: number): void {
    const bucket = bucketOf(millis)
    const place = bucket - this.#first
    const buckets = this.#buckets
    if (place >= 0 && place < buckets.length) buckets[place]!++
    else this.#recordApart(Math.min(bucket, BUCKETS - 1))
    this.#rest++
    this.sum += millis
    if (millis > this.max) this.max = millis
    if (millis < this.min) this.min = millis
  }

  /** Counts one in a bucket that may not be there yet: its power of two is added, and those between it and the others. */
  #recordApart(bucket: number): void {
    const buckets = this.#buckets
    const start = bucket - (bucket % SUB_BUCKETS)
    const missing = start + SUB_BUCKETS - this.#first - buckets.length
    if (buckets.length === 0) {
      this.#buckets = zeros(SUB_BUCKETS)
      this.#first = start
    } else if (start < this.#first) {
      this.#buckets = zeros(this.#first - start).concat(buckets)
      this.#first = start
    } else if (missing > 0) {
      this.#buckets = buckets.concat(zeros(missing))
    }
    this.#buckets[bucket - this.#first]!++
  }

  /** The value below which the fraction `q` (0 to 1) of all records lies; 0 while there are none. */
  quantile(q: number): number {
    const count = this.count
    if (count === 0) return 0
    // The rank of the nearest-rank method: the smallest value with at least `q · count` records at or below it.
    const rank = Math.max(1, Math.ceil(q * count))
    if (rank >= count) return this.max
    let seen = this.zeros
    if (rank <= seen) return 0
    const buckets = this.#buckets
    for (let i = 0; i < buckets.length; i++) {
      seen += buckets[i]!
      if (seen >= rank) return Math.max(this.min, Math.min(this.max, middle(this.#first + i)))
    }
    throw new Error(`BUG: rank ${rank} of ${count} lies in no bucket`)
  }

  /**
   * How many records are at most each of these boundaries, which ascend, to the resolution of a bucket. For exporters with
   * boundaries of their own.
   */
  countsAtMost(boundaries: ReadonlyArray<number>): ReadonlyArray<number> {
    const buckets = this.#buckets
    let seen = this.zeros
    let next = 0
    return boundaries.map((boundary) => {
      const end = Math.min(endOf(boundary) - this.#first, buckets.length)
      for (; next < end; next++) seen += buckets[next]!
      return seen
    })
  }

  summary(): Summary {
    const count = this.count
    return {
      count,
      mean: count === 0 ? 0 : this.sum / count,
      p50: this.quantile(0.5),
      p95: this.quantile(0.95),
      p99: this.quantile(0.99),
      max: this.max
    }
  }
}

/** The bucket of a value above {@link SMALLEST}; of one that is too large, a number that no bucket has. */
const bucketOf = (millis: number): number => {
  float[0] = millis
  return (words[HIGH_WORD]! >>> (20 - SUB_BITS)) - FIRST
}

/** The first bucket that is above a boundary: of the records in the boundary's own, all or none count, by their middle. */
const endOf = (boundary: number): number => {
  if (!(boundary > SMALLEST)) return 0
  const own = bucketOf(boundary)
  return own >= BUCKETS ? BUCKETS : middle(own) <= boundary ? own + 1 : own
}

const middle = (index: number): number => {
  const octave = 2 ** (MIN_EXPONENT + (index >> SUB_BITS))
  return octave * (1 + ((index & (SUB_BUCKETS - 1)) + 0.5) / SUB_BUCKETS)
}
