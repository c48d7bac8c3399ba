/** node-redis 4, 5 and 6: `node node-redis.mjs PACKAGE TRANSPORT WHERE CA PROTOCOL`. */
import { rejects } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ASKED, EVERY_BYTE, is, passed } from "./check.mjs";

const { library, transport, where, ca, protocol } = ASKED;
const { commandOptions, createClient, RESP_TYPES } = await import(library);
const isOld = RESP_TYPES === undefined;

// [connect]
const socket = {
  tcp: { host: "127.0.0.1", port: Number(where) },
  tls: { host: "127.0.0.1", port: Number(where), tls: true, ca: readFileSync(ca) },
  unix: { path: where },
}[transport];
const RESP = protocol === "default" ? {} : { RESP: Number(protocol) };
const client = createClient({ socket, ...RESP });
// [/connect]
const opened = [];
const open = async (made) => {
  opened.push(made);
  return await made
    .on("error", (error) => {
      throw error;
    })
    .connect();
};
await open(client);
await client.flushAll();

is(await client.setBit("k", 7, 1), 0);
is(await client.setBit("k", 7, 1), 1);
is(await client.setBit("k", 100_000, 1), 0);
is([await client.getBit("k", 7), await client.getBit("k", 8)], [1, 0]);
is(await client.bitCount("k"), 2);
passed("bits");

is(await client.set("a", "abc"), "OK");
is(await client.set("b", "ab"), "OK");
is(await client.bitOp("AND", "and", ["a", "b"]), 3);
is(await client.get("and"), "ab\0");
passed("bitop");

is(await client.set(EVERY_BYTE, EVERY_BYTE), "OK");
const bytes = isOld
  ? await client.get(commandOptions({ returnBuffers: true }), EVERY_BYTE)
  : await client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get(EVERY_BYTE);
is(bytes, EVERY_BYTE);
is(await client.get("missing"), null);
passed("bytes");

is(Number(await client.expire("k", 100)), 1);
is((await client.ttl("k")) > 90, true);
is(Number(await client.persist("k")), 1);
is(await client.ttl("k"), -1);
passed("deadlines");

await client.mSet({ "p:1": "1", "p:2": "2", "q:1": "3" });
is((await client.keys("p:*")).sort(), ["p:1", "p:2"]);
const scanned = [];
for await (const page of client.scanIterator({ MATCH: "?:1", COUNT: 1 })) scanned.push(...[page].flat());
is(scanned.sort(), ["p:1", "q:1"]);
is(await client.del(["p:1", "p:2", "missing"]), 2);
passed("keys");

is(await client.multi().setBit("t", 1, 1).setBit("t", 2, 1).bitCount("t").exec(), [0, 0, 2]);
passed("transaction");

is(await Promise.all(Array.from({ length: 1000 }, (_, i) => client.setBit("many", i, 1))), Array(1000).fill(0));
is(await client.bitCount("many"), 1000);
passed("pipeline");

await rejects(client.sendCommand(["SETBIT", "k", "-1", "1"]), {
  message: "ERR bit offset is not an integer or out of range",
});
is(await client.ping(), "PONG");
passed("error");

const subscriber = await open(client.duplicate());
const heard = new Promise((resolve) => {
  subscriber.subscribe("news", (message) => resolve(message), true).then(() => client.publish("news", EVERY_BYTE));
});
is(await heard, EVERY_BYTE);
await subscriber.unsubscribe("news");
passed("channels");

console.log(`self ${await client.sendCommand(["CLIENT", "INFO"])}`);
for (const each of opened) await (isOld ? each.disconnect() : each.close());
