/** The module that counts shared ids is its source, assembled. `UPDATE_WASM=1 npx vitest run test/unit/keyspace/shared-ids-wasm` writes it anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import loadWabt from "wabt";
import { SHARED_IDS_WASM } from "../../../src/keyspace/shared-ids-wasm.js";

const url = (file: string) => new URL(`../../../src/keyspace/${file}`, import.meta.url);

test("shared-ids-wasm.ts is what shared-ids.wat is assembled to", async () => {
  const wabt = await loadWabt();
  const parsed = wabt.parseWat("shared-ids.wat", readFileSync(url("shared-ids.wat"), "utf8"), { bulk_memory: true });
  const assembled = Buffer.from(parsed.toBinary({}).buffer).toString("base64");
  parsed.destroy();
  if (process.env.UPDATE_WASM === "1") {
    const text = `/** \`shared-ids.wat\`, assembled: see its test. */\nexport const SHARED_IDS_WASM =\n  "${assembled}";\n`;
    writeFileSync(url("shared-ids-wasm.ts"), text);
  } else expect(SHARED_IDS_WASM).toBe(assembled);
});
