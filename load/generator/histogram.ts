// Latencies in bounded memory, as HdrHistogram keeps them: 128 steps per power of two, so any percentile is within 0.8 %.

const STEP_BITS = 7;
const STEPS = 2 ** STEP_BITS;
/** Up to 2^30 microseconds, 18 minutes; what takes longer counts as that. */
const MAX_US = 2 ** 30 - 1;
const BUCKETS = (30 - STEP_BITS + 1) * STEPS;

function bucketOf(us: number): number {
  const shift = Math.max(0, 31 - Math.clz32(us) - STEP_BITS);
  return shift * STEPS + (us >>> shift);
}

/** The largest value that falls into a bucket. */
function topOf(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / STEPS) - 1);
  return (bucket - shift * STEPS + 1) * 2 ** shift - 1;
}

export class Histogram {
  readonly #buckets = new Uint32Array(BUCKETS);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  record(ms: number): void {
    const us = Math.min(MAX_US, Math.max(0, Math.round(ms * 1000)));
    const bucket = bucketOf(us);
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#sumMs += ms;
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  get count(): number {
    return this.#count;
  }

  /** NaN of none. */
  get meanMs(): number {
    return this.#sumMs / this.#count;
  }

  get maxMs(): number {
    return this.#count === 0 ? Number.NaN : this.#maxMs;
  }

  /** The value below which the fraction `q` lies (nearest rank); NaN of none. */
  quantileMs(q: number): number {
    if (this.#count === 0) return Number.NaN;
    let left = Math.max(1, Math.ceil(q * this.#count));
    for (const [bucket, count] of this.#buckets.entries()) {
      left -= count;
      if (left <= 0) return Math.min(topOf(bucket) / 1000, this.#maxMs);
    }
    return this.#maxMs;
  }
}
