// Figures out of measurements: median and spread of rounds, and a histogram of latencies.

/**
 * @param {readonly number[]} values not empty
 * @returns {number}
 */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = /** @type {number} */ (sorted[middle]);
  const lower = sorted[middle - 1] ?? upper;
  return sorted.length % 2 === 1 ? upper : (lower + upper) / 2;
}

/**
 * @typedef {{ median: number, min: number, max: number }} Spread
 * @param {readonly number[]} values not empty
 * @returns {Spread}
 */
export function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

// 64 buckets for each power of two: a reading is at most 1.6 % below the true value.
const bucketsPerPower = 64;
const bucketsMax = (31 - 6) * bucketsPerPower + 2 * bucketsPerPower;

/** Latencies in whole microseconds up to 35 minutes, in buckets of equal relative width. */
export class Histogram {
  counts = new Float64Array(bucketsMax);
  total = 0;

  /** @param {number} microseconds */
  record(microseconds) {
    this.#count(bucketOf(microseconds), 1);
  }

  /** @param {{ counts: ArrayLike<number> }} other another histogram, or its JSON form */
  add(other) {
    for (let i = 0; i < other.counts.length; i++) this.#count(i, other.counts[i] ?? 0);
  }

  /**
   * The latency that the given part of all operations did not exceed, in microseconds.
   * @param {number} part 0.5 is the median
   */
  quantile(part) {
    const rank = Math.ceil(part * this.total);
    let seen = 0;
    for (let i = 0; i < bucketsMax; i++) {
      seen += /** @type {number} */ (this.counts[i]);
      if (seen >= rank && seen > 0) return bucketFloor(i);
    }
    return 0;
  }

  /**
   * @param {number} bucket
   * @param {number} count
   */
  #count(bucket, count) {
    this.counts[bucket] = (this.counts[bucket] ?? 0) + count;
    this.total += count;
  }

  /** @returns {Percentiles} */
  percentiles() {
    return { p50: this.quantile(0.5), p99: this.quantile(0.99), p999: this.quantile(0.999) };
  }

  toJSON() {
    return { counts: Array.from(this.counts) };
  }
}

/** @typedef {{ p50: number, p99: number, p999: number }} Percentiles microseconds */

/** @param {number} microseconds */
function bucketOf(microseconds) {
  const value = Math.max(0, Math.min(microseconds | 0, 0x7fffffff));
  if (value < bucketsPerPower) return value;
  const power = 31 - Math.clz32(value);
  return (power - 6) * bucketsPerPower + (value >>> (power - 6));
}

/** @param {number} bucket */
function bucketFloor(bucket) {
  if (bucket < 2 * bucketsPerPower) return bucket;
  const power = Math.floor(bucket / bucketsPerPower) + 5;
  return (bucket - (power - 6) * bucketsPerPower) * 2 ** (power - 6);
}
