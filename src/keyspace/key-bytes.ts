/**
 * A key as bytes among others: `bytes[start]` .. `bytes[end - 1]`, good until the request it stands in is done. What is asked most
 * often takes its key so, since making a string of it costs as much as finding it.
 */
export interface KeyBytes {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** The key as a latin1 string. */
export function keyString({ bytes, start, end }: KeyBytes): string {
  return bytes.toString("latin1", start, end);
}
