/** Keys for people: any bytes, on one line of a terminal. */
import { isUtf8 } from "node:buffer";

const SHOWN_BYTES_MAX = 100;
const UTF8_BYTES_MAX = 4;

/** A key for people, in quotes: text as it is, control characters and bytes that are no text as \\xNN. */
export function showKey(key: Buffer): string {
  const text = textOf(key.subarray(0, SHOWN_BYTES_MAX));
  const shown = text ?? key.toString("latin1", 0, SHOWN_BYTES_MAX);
  const escaped =
    text === undefined
      ? shown.replace(/[^\x20-\x7e]|["\\]/g, (character) => escapeOf(character, "latin1"))
      : shown.replace(/["\\\p{C}\p{Zl}\p{Zp}]/gu, (character) => escapeOf(character, "utf8"));
  return key.length > SHOWN_BYTES_MAX ? `"${escaped}"... of ${key.length} bytes` : `"${escaped}"`;
}

/** Bytes as text, or undefined when they are none. The last character may be cut off. */
function textOf(bytes: Buffer): string | undefined {
  for (let cut = 0; cut < (bytes.length < SHOWN_BYTES_MAX ? 1 : UTF8_BYTES_MAX); cut++) {
    const whole = bytes.subarray(0, bytes.length - cut);
    if (isUtf8(whole)) return whole.toString("utf8");
  }
  return undefined;
}

function escapeOf(character: string, encoding: "latin1" | "utf8"): string {
  if (character === '"' || character === "\\") return `\\${character}`;
  return [...Buffer.from(character, encoding)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}
