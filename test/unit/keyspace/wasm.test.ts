/** The WebAssembly modules are their sources, assembled. `UPDATE_WASM=1 npx vitest run test/unit/keyspace/wasm` writes them anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import loadWabt from "wabt";
import { FLAT_SETS_WASM } from "../../../src/keyspace/flat-sets-wasm.js";
import { SHARED_IDS_WASM } from "../../../src/keyspace/shared-ids-wasm.js";

const url = (file: string) => new URL(`../../../src/keyspace/${file}`, import.meta.url);

test.each([
  ["shared-ids", "SHARED_IDS_WASM", SHARED_IDS_WASM],
  ["flat-sets", "FLAT_SETS_WASM", FLAT_SETS_WASM],
])("%s-wasm.ts is what its .wat is assembled to", async (name, constant, committed) => {
  const wabt = await loadWabt();
  const source = readFileSync(url(`${name}.wat`), "utf8");
  const parsed = wabt.parseWat(`${name}.wat`, source, { bulk_memory: true, simd: true });
  const assembled = Buffer.from(parsed.toBinary({}).buffer).toString("base64");
  parsed.destroy();
  if (process.env.UPDATE_WASM === "1") {
    const text = `/** \`${name}.wat\`, assembled: see its test. */\nexport const ${constant} =\n  "${assembled}";\n`;
    writeFileSync(url(`${name}-wasm.ts`), text);
  } else expect(committed).toBe(assembled);
});
