/** A line of a configuration file, or of the command line put into one: words between spaces, with Redis' quotes and escapes. */
import { splitInline } from "../resp/inline.js";

/** The words of a line, as bytes; undefined where its quotes are not balanced. */
export function wordsOf(line: string): string[] | undefined {
  return splitInline(Buffer.from(line, "latin1"))?.map((word) => word.toString("latin1"));
}

/** A word as a line has it: in quotes where it would not come back as it is without. */
export function quoted(word: string): string {
  if (/^[!-~]+$/.test(word) && !/["'\\]/.test(word) && !word.startsWith("#")) return word;
  const inner = word.replace(/["\\]|[^ -~]/g, (character) =>
    character === '"' || character === "\\"
      ? `\\${character}`
      : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `"${inner}"`;
}
