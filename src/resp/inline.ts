/**
 * Inline requests: a line typed by hand, split at its spaces. The rules, quotes and escapes are those of Redis'
 * sdssplitargs, with one difference: a NUL byte is a byte like any other, because lines are not C strings here.
 */

const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const BACKSLASH = 0x5c;
const LOWER_X = 0x78;

/** What `\n`, `\r`, `\t`, `\b` and `\a` stand for between double quotes; any other escaped byte stands for itself. */
const ESCAPES: ReadonlyMap<number, number> = new Map([
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
  [0x62, 0x08],
  [0x61, 0x07],
]);

/** Takes where arguments begin and end. */
export interface Places {
  push(start: number, end: number): void;
}

/**
 * The arguments of the line from `start` to `end` where they lie, if it has no quotes: nothing is copied. False where it has some, and
 * then what was pushed means nothing.
 */
export function splitUnquoted(bytes: Uint8Array, start: number, end: number, places: Places): boolean {
  let i = start;
  for (;;) {
    while (i < end && isSpace(bytes[i])) i++;
    if (i === end) return true;
    const begin = i;
    for (; i < end && !endsWord(bytes[i]); i++) if (bytes[i] === QUOTE || bytes[i] === APOSTROPHE) return false;
    places.push(begin, i);
  }
}

/** The arguments of `line`, which has no line end any more; undefined if its quotes are unbalanced. */
export function splitInline(line: Uint8Array): Buffer[] | undefined {
  const args: Buffer[] = [];
  let i = 0;
  for (;;) {
    while (isSpace(line[i])) i++;
    if (i >= line.length) return args;
    const arg: number[] = [];
    i = readArgument(line, i, arg);
    if (i < 0) return undefined;
    args.push(Buffer.from(arg));
  }
}

/**
 * Decodes the argument at `i` into `arg` and returns where it ends, or -1. A quote may open within it; where one closes
 * it ends.
 */
function readArgument(line: Uint8Array, i: number, arg: number[]): number {
  while (i < line.length && !endsWord(line[i])) {
    const byte = line[i++] as number;
    if (byte === QUOTE || byte === APOSTROPHE) {
      const end = byte === QUOTE ? readQuoted(line, i, arg) : readSingleQuoted(line, i, arg);
      return end === line.length || isSpace(line[end]) ? end : -1;
    }
    arg.push(byte);
  }
  return i;
}

/** Decodes what follows a `"` and returns the place after the closing one, or -1. */
function readQuoted(line: Uint8Array, i: number, arg: number[]): number {
  while (i < line.length) {
    const byte = line[i++] as number;
    if (byte === QUOTE) return i;
    if (byte !== BACKSLASH || i === line.length) {
      arg.push(byte);
    } else if (line[i] === LOWER_X && hexDigit(line[i + 1]) >= 0 && hexDigit(line[i + 2]) >= 0) {
      arg.push(hexDigit(line[i + 1]) * 16 + hexDigit(line[i + 2]));
      i += 3;
    } else {
      const escaped = line[i++] as number;
      arg.push(ESCAPES.get(escaped) ?? escaped);
    }
  }
  return -1;
}

/** Decodes what follows a `'`, where `\'` is the only escape, and returns the place after the closing one, or -1. */
function readSingleQuoted(line: Uint8Array, i: number, arg: number[]): number {
  while (i < line.length) {
    const byte = line[i++] as number;
    if (byte === APOSTROPHE) return i;
    if (byte === BACKSLASH && line[i] === APOSTROPHE) arg.push(line[i++] as number);
    else arg.push(byte);
  }
  return -1;
}

/** C's isspace: space, \t, \n, \v, \f, \r. */
function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** What ends an unquoted argument. Redis does not count \v and \f here, though it skips them between arguments. */
function endsWord(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/** The value of a hexadecimal digit, or -1. */
function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}
