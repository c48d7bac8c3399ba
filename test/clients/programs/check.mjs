/** What the programs in JavaScript share: their arguments, and saying the version and which step has gone well. */
import { deepStrictEqual } from "node:assert/strict";
import { createRequire } from "node:module";

const [library, transport, where, ca, protocol] = process.argv.slice(2);

/** The package to test, and where and how it connects: see ../matrix.ts. */
export const ASKED = { library, transport, where, ca, protocol };

console.log(`version ${createRequire(import.meta.url)(`${library}/package.json`).version}`);

/** Fails unless the reply is to the letter what it must be. */
export const is = deepStrictEqual;

/** Every byte there is. */
export const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

export function passed(step) {
  console.log(`ok ${step}`);
}
