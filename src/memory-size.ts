/** Sizes as Redis' configuration writes them: `512mb`, `1g`, `100000`. `k`, `m` and `g` are powers of 1000, with a `b` of 1024. */

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1000 ** 2,
  mb: 1024 ** 2,
  g: 1000 ** 3,
  gb: 1024 ** 3,
};

/** The size in bytes; undefined when `text` is no size. */
export function parseMemorySize(text: string): number | undefined {
  const match = /^([0-9]+)([a-z]*)$/i.exec(text);
  const unit = UNITS[(match?.[2] ?? "?").toLowerCase()];
  if (match === null || unit === undefined) return undefined;
  const bytes = Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
