/**
 * How often something took how long, in nanoseconds, to two significant digits: 128 buckets for each doubling, the widths that Redis'
 * own histograms have. Knows nothing of what it counts.
 */

const BUCKETS_A_DOUBLING = 128;
const LINEAR_DOUBLINGS = Math.log2(BUCKETS_A_DOUBLING);

/** Longer ones are counted as so long (Redis' figure): a second. */
const NS_MAX = 1e9;

/** First of the bounds that LATENCY HISTOGRAM tells; each further one is twice as large. */
const FIRST_BOUND_NS = 1024;

export class LatencyHistogram {
  /** Values that were recorded, each with its weight. */
  count = 0;
  readonly #counts = new Float64Array(bucketOf(NS_MAX) + 1);

  /** Something took so long, `weight` times. */
  record(ns: number, weight: number): void {
    const bucket = bucketOf(Math.min(Math.max(Math.floor(ns), 0), NS_MAX));
    this.#counts[bucket] = (this.#counts[bucket] as number) + weight;
    this.count += weight;
  }

  /** The longest that the quickest `percent` of all took, in nanoseconds; 0 when nothing was recorded. */
  percentile(percent: number): number {
    const wanted = Math.max(Math.round((percent / 100) * this.count), 1);
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket] as number;
      if (seen >= wanted) return lastOf(bucket);
    }
    return 0;
  }

  /** How many took at most so long, for bounds that double: those at which the number grows, until it is `count`. */
  cumulative(): { ns: number; count: number }[] {
    const steps: { ns: number; count: number }[] = [];
    let bucket = 0;
    let seen = 0;
    for (let bound = FIRST_BOUND_NS; seen < this.count; bound *= 2) {
      const end = Math.min(bucketOf(bound), this.#counts.length - 1);
      const before = seen;
      for (; bucket <= end; bucket++) seen += this.#counts[bucket] as number;
      if (seen > before) steps.push({ ns: lastOf(bucketOf(bound)), count: seen });
    }
    return steps;
  }
}

/** The bucket of a value, which is one value wide up to twice BUCKETS_A_DOUBLING, and twice as wide after each doubling from there. */
function bucketOf(ns: number): number {
  const doublings = Math.max(31 - Math.clz32(ns) - LINEAR_DOUBLINGS, 0);
  return doublings * BUCKETS_A_DOUBLING + (ns >>> doublings);
}

/** The largest value of a bucket. */
function lastOf(bucket: number): number {
  if (bucket < 2 * BUCKETS_A_DOUBLING) return bucket;
  const doublings = Math.floor(bucket / BUCKETS_A_DOUBLING) - 1;
  return (bucket - doublings * BUCKETS_A_DOUBLING + 1) * 2 ** doublings - 1;
}
