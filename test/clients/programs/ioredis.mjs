/** ioredis 5 and 6: `node ioredis.mjs PACKAGE TRANSPORT WHERE CA PROTOCOL`. */
import { rejects } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ASKED, EVERY_BYTE, is, passed } from "./check.mjs";

const { library, transport, where, ca, protocol: asked } = ASKED;
const { Redis } = await import(library);

// [connect]
const address = {
  tcp: { host: "127.0.0.1", port: Number(where) },
  tls: { host: "127.0.0.1", port: Number(where), tls: { ca: readFileSync(ca) } },
  unix: { path: where },
}[transport];
const protocol = asked === "default" ? {} : { protocol: Number(asked) };
const client = new Redis({ ...address, ...protocol });
// [/connect]
const fail = (error) => {
  throw error;
};
client.on("error", fail);
await client.flushall();

is(await client.setbit("k", 7, 1), 0);
is(await client.setbit("k", 7, 1), 1);
is(await client.setbit("k", 100_000, 1), 0);
is([await client.getbit("k", 7), await client.getbit("k", 8)], [1, 0]);
is(await client.bitcount("k"), 2);
passed("bits");

is(await client.set("a", "abc"), "OK");
is(await client.set("b", "ab"), "OK");
is(await client.bitop("AND", "and", "a", "b"), 3);
is(await client.get("and"), "ab\0");
passed("bitop");

is(await client.set(EVERY_BYTE, EVERY_BYTE), "OK");
is(await client.getBuffer(EVERY_BYTE), EVERY_BYTE);
is(await client.get("missing"), null);
passed("bytes");

is(await client.expire("k", 100), 1);
is((await client.ttl("k")) > 90, true);
is(await client.persist("k"), 1);
is(await client.ttl("k"), -1);
passed("deadlines");

await client.mset({ "p:1": "1", "p:2": "2", "q:1": "3" });
is((await client.keys("p:*")).sort(), ["p:1", "p:2"]);
const scanned = [];
for await (const page of client.scanStream({ match: "?:1", count: 1 })) scanned.push(...page);
is(scanned.sort(), ["p:1", "q:1"]);
is(await client.del("p:1", "p:2", "missing"), 2);
passed("keys");

is(await client.multi().setbit("t", 1, 1).setbit("t", 2, 1).bitcount("t").exec(), [
  [null, 0],
  [null, 0],
  [null, 2],
]);
passed("transaction");

const pipeline = client.pipeline();
for (let i = 0; i < 1000; i++) pipeline.setbit("many", i, 1);
is(await pipeline.exec(), Array(1000).fill([null, 0]));
is(await client.bitcount("many"), 1000);
passed("pipeline");

await rejects(client.setbit("k", -1, 1), { message: "ERR bit offset is not an integer or out of range" });
is(await client.ping(), "PONG");
passed("error");

const subscriber = client.duplicate().on("error", fail);
const heard = new Promise((resolve) => {
  subscriber.on("messageBuffer", (_channel, message) => resolve(message));
});
is(await subscriber.subscribe("news"), 1);
is(await client.publish("news", EVERY_BYTE), 1);
is(await heard, EVERY_BYTE);
is(await subscriber.unsubscribe("news"), 0);
passed("channels");

console.log(`self ${await client.call("CLIENT", "INFO")}`);
for (const each of [client, subscriber]) await each.quit();
