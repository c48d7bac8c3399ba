/**
 * Keys as text, for files that are text. A key is any bytes: one that is UTF-8 stands as it is, any other as `base64:` and its bytes in
 * base64. So does one that begins with `base64:` itself, and one with a zero byte, at which many readers end. So every key has one text,
 * and every text one key.
 */
import { isUtf8 } from "node:buffer";

/** What a key that is no text begins with. */
export const BASE64_MARK = "base64:";

const PRINTABLE_ASCII = /^[ -~]*$/;

/** The text of a key, as UTF-8 whose bytes are the characters (latin1), as keys are everywhere. */
export function keyText(key: string): string {
  const isText = !key.includes("\0") && isUtf8Text(key) && !key.startsWith(BASE64_MARK);
  return isText ? key : `${BASE64_MARK}${Buffer.from(key, "latin1").toString("base64")}`;
}

/** The key that such a text means. Throws where it is none. */
export function keyOfText(text: string): string {
  if (text.startsWith(BASE64_MARK)) {
    const bytes = Buffer.from(text.slice(BASE64_MARK.length), "base64");
    if (bytes.toString("base64") !== text.slice(BASE64_MARK.length)) throw new Error("the key's base64 is malformed");
    return bytes.toString("latin1");
  }
  if (!isUtf8Text(text)) {
    throw new Error(`the key is not UTF-8: such bytes are written as ${BASE64_MARK} and their base64`);
  }
  return text;
}

function isUtf8Text(text: string): boolean {
  // Nearly all are, and it is quicker to see.
  return PRINTABLE_ASCII.test(text) || isUtf8(Buffer.from(text, "latin1"));
}
