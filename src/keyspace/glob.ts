/**
 * Redis' glob patterns (`stringmatchlen`), over keys as latin1 strings: `*`, `?`, `[a-z]`, `[^a]`, `\x`.
 * Unlike a shell's, `*` crosses `/`. An unclosed class ends with the pattern. The empty key matches `` and `*` only.
 */

/** One place of a pattern: what one byte must be, or any run of bytes. */
type Token = typeof ANY_RUN | typeof ANY_BYTE | number | ByteClass;

interface ByteClass {
  readonly members: Uint8Array;
}

const ANY_RUN = "*";
const ANY_BYTE = "?";

export type Matcher = (key: string) => boolean;

/** Compiles a pattern once, for matching many keys. Any string is a valid pattern. */
export function compileGlob(pattern: string): Matcher {
  if (pattern === "*") return () => true;
  const tokens = tokenize(pattern);
  // Most patterns are a text, or the beginning of one.
  const isBeginning = tokens.length > 1 && tokens.at(-1) === ANY_RUN;
  const text = textOf(isBeginning ? tokens.slice(0, -1) : tokens);
  if (text === undefined) return (key) => match(tokens, key);
  return isBeginning ? (key) => key.startsWith(text) : (key) => key === text;
}

/** The text that alone matches, undefined where there are wildcards. */
function textOf(tokens: readonly Token[]): string | undefined {
  const bytes = tokens.filter((token) => typeof token === "number");
  return bytes.length === tokens.length ? bytes.map((byte) => String.fromCharCode(byte)).join("") : undefined;
}

function tokenize(pattern: string): Token[] {
  const tokens: Token[] = [];
  let i = 0;
  while (i < pattern.length) {
    const char = pattern[i];
    if (char === "*") {
      if (tokens.at(-1) !== ANY_RUN) tokens.push(ANY_RUN);
    } else if (char === "?") {
      tokens.push(ANY_BYTE);
    } else if (char === "[") {
      const { token, end } = tokenizeClass(pattern, i + 1);
      tokens.push(token);
      i = end;
    } else {
      // A backslash quotes the next byte; the last byte of a pattern stands for itself.
      if (char === "\\" && i + 1 < pattern.length) i++;
      tokens.push(pattern.charCodeAt(i));
    }
    i++;
  }
  return tokens;
}

/** Reads a class from the byte after `[`; `end` is the index of its `]`, or past the pattern where it is not closed. */
function tokenizeClass(pattern: string, start: number): { token: ByteClass; end: number } {
  let i = start;
  const negated = pattern[i] === "^";
  if (negated) i++;
  const members = new Uint8Array(256).fill(negated ? 1 : 0);
  const inside = negated ? 0 : 1;
  while (i < pattern.length && pattern[i] !== "]") {
    if (pattern[i] === "\\" && i + 1 < pattern.length) {
      i++;
      members[pattern.charCodeAt(i)] = inside;
    } else if (pattern[i + 1] === "-" && i + 2 < pattern.length) {
      const a = signed(pattern.charCodeAt(i));
      const b = signed(pattern.charCodeAt(i + 2));
      for (let byte = Math.min(a, b); byte <= Math.max(a, b); byte++) members[byte & 0xff] = inside;
      i += 2;
    } else {
      members[pattern.charCodeAt(i)] = inside;
    }
    i++;
  }
  return { token: { members }, end: i };
}

/** Bytes from 0x80 on stand before all others in a range: Redis compares C's chars, which are signed where it is run most. */
function signed(byte: number): number {
  return byte < 0x80 ? byte : byte - 0x100;
}

/** Every token but `*` takes exactly one byte, so going back to the last `*` alone is enough: no exponential patterns. */
function match(tokens: readonly Token[], key: string): boolean {
  // Redis looks at the pattern only while there is a byte left to match.
  if (key.length === 0) return tokens.length === 0;
  let t = 0;
  let k = 0;
  let runToken = -1;
  let runKey = 0;
  while (k < key.length) {
    const token = tokens[t];
    if (token === ANY_RUN) {
      runToken = t++;
      runKey = k;
    } else if (token !== undefined && takes(token, key.charCodeAt(k))) {
      t++;
      k++;
    } else if (runToken >= 0) {
      t = runToken + 1;
      k = ++runKey;
    } else {
      return false;
    }
  }
  while (tokens[t] === ANY_RUN) t++;
  return t === tokens.length;
}

function takes(token: Exclude<Token, typeof ANY_RUN>, byte: number): boolean {
  if (token === ANY_BYTE) return true;
  if (typeof token === "number") return token === byte;
  return token.members[byte] === 1;
}
