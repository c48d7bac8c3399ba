/** The values of an async iterator, the next of which are begun while the one before is used. */

/** So many are begun at a time. `drop` is given those that are not wanted any more. */
export async function* readAhead<T>(
  values: AsyncIterable<T>,
  depth: number,
  drop: (value: T) => void = () => {},
): AsyncGenerator<T, void> {
  const iterator = values[Symbol.asyncIterator]();
  const begun: Promise<IteratorResult<T>>[] = [];
  try {
    for (;;) {
      while (begun.length < depth) {
        const next = iterator.next();
        // It may fail before its turn comes, where the failure is told.
        next.catch(() => {});
        begun.push(next);
      }
      const result = await (begun.shift() as Promise<IteratorResult<T>>);
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    for (const next of begun) {
      const result = await next.catch(() => undefined);
      if (result !== undefined && result.done !== true) drop(result.value);
    }
    await iterator.return?.();
  }
}
