/** Commands on ids over the wire: requests and replies of many ids, while others are served. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ARGUMENTS_MAX } from "../../src/config.js";
import { startOurs } from "../differential/ours.js";
import type { Target } from "../differential/runner.js";
import { ask, askLong } from "../support/ask.js";
import { conversation, converse } from "../support/conversation.js";
import { dice } from "../support/random.js";
import { encodeRequest, RawClient } from "../support/raw-client.js";

let target: Target;
let client: RawClient;

beforeAll(async () => {
  target = await startOurs();
  client = await RawClient.connect(target.port);
});

afterAll(async () => {
  client?.close();
  await target?.stop();
});

test("what they change is told of as an event of the key, once a command", async () => {
  const text = `
    a> HELLO 3; CONFIG SET notify-keyspace-events E$n; PSUBSCRIBE __key*__:*
       (hello)
       +OK
       >["psubscribe" "__key*__:*" :1]
    a> BITADD told 1 2; BITADD told 1; BITREM told 2 9; BITREM told 2
       >["pmessage" "__key*__:*" "__keyevent@0__:new" "told"]
       >["pmessage" "__key*__:*" "__keyevent@0__:bitadd" "told"]
       :2
       :0
       >["pmessage" "__key*__:*" "__keyevent@0__:bitrem" "told"]
       :1
       :0
    a> BITADDRANGE told 1 3; BITREMRANGE told 7 9; BITREMRANGE told 1 3; R.APPENDINTARRAY told 4; R.DELETEINTARRAY told 4
       >["pmessage" "__key*__:*" "__keyevent@0__:bitadd" "told"]
       :2
       :0
       >["pmessage" "__key*__:*" "__keyevent@0__:bitrem" "told"]
       :3
       >["pmessage" "__key*__:*" "__keyevent@0__:bitadd" "told"]
       +OK
       >["pmessage" "__key*__:*" "__keyevent@0__:bitrem" "told"]
       +OK
    a> CONFIG SET notify-keyspace-events ""
       +OK
  `;
  expect(await converse(target.port, text)).toBe(conversation(text));
});

test("a million ids in one request, in order and in none", async () => {
  const { int } = dice("a million ids");
  const ids = Array.from({ length: 1_000_000 }, () => int(0, 50_000_000));
  const ascending = [...new Set(ids)].sort((a, b) => a - b);
  expect(await askLong(client, ["BITADD", "unordered", ...ids])).toBe(ascending.length);
  expect(await askLong(client, ["BITADD", "ordered", ...ascending])).toBe(ascending.length);
  expect(await ask(client, "BITJACCARD", "ordered", "unordered")).toBe("1");
  expect(await askLong(client, ["BITCONTAINS", "ordered", "ALL", ...ids])).toBe(1);
  for (const i of [0, 1, 500_000, ascending.length - 1]) {
    expect(await ask(client, "BITSELECT", "unordered", i)).toBe(ascending[i]);
  }
  expect(await askLong(client, ["BITREM", "unordered", ...ids.slice(0, 500_000)])).toBe(
    new Set(ids.slice(0, 500_000)).size,
  );
  expect(await ask(client, "BITOPCARD", "DIFF", "ordered", "unordered")).toBe(new Set(ids.slice(0, 500_000)).size);
}, 120_000);

test("as many ids as a request may have arguments, and no more", async () => {
  const most = Array.from({ length: ARGUMENTS_MAX - 2 }, (_, i) => i * 2);
  expect(await askLong(client, ["BITADD", "most", ...most])).toBe(most.length);
  const other = await RawClient.connect(target.port);
  const [refused] = await other.pipeline([["BITADD", "more", ...most.map(String), "1"]]);
  expect(refused).toBe("-ERR Protocol error: invalid multibulk length\r\n");
  other.close();
  expect(await ask(client, "EXISTS", "more")).toBe(0);
}, 60_000);

test("a long list is what it was when it was asked for, however late it is read, and others are served meanwhile", async () => {
  const count = 2_000_000;
  await ask(client, "BITADDRANGE", "long", 1, count);
  const slow = connect({ port: target.port, host: "127.0.0.1" });
  await once(slow, "connect");
  const requests = [
    ["BITRANGE", "long", "0", "-1"],
    ["SET", "served", "behind it"],
  ];
  slow.write(Buffer.concat(requests.map(encodeRequest)));
  const chunks = (await once(slow, "data")) as Buffer[];
  slow.pause();
  expect(await ask(client, "BITREMRANGE", "long", 0, count - 2)).toBe(count - 2);
  expect(await ask(client, "BITRANGE", "long", 0, -1)).toEqual([count - 1, count]);
  expect(await ask(client, "EXISTS", "served")).toBe(0);

  const wanted = `*${count}\r\n${Array.from({ length: count }, (_, i) => `:${i + 1}\r\n`).join("")}+OK\r\n`;
  let missing = wanted.length - (chunks[0] as Buffer).length;
  slow.on("data", (chunk) => {
    chunks.push(chunk);
    missing -= chunk.length;
    if (missing <= 0) slow.emit("whole");
  });
  slow.resume();
  await once(slow, "whole");
  // As one comparison: a difference would be told in 20 MB.
  expect(Buffer.concat(chunks).toString("latin1") === wanted).toBe(true);
  expect(await ask(client, "GET", "served")).toBe("behind it");
  slow.destroy();
}, 60_000);

test("a client may leave in the middle of a list", async () => {
  await ask(client, "BITADDRANGE", "left", 0, 5_000_000);
  for (let i = 0; i < 5; i++) {
    const slow = connect({ port: target.port, host: "127.0.0.1" });
    await once(slow, "connect");
    slow.write(encodeRequest(["BITRANGE", "left", "0", "-1"]));
    await once(slow, "data");
    slow.destroy();
  }
  expect(await ask(client, "BITREMRANGE", "left", 1, 4_999_999)).toBe(4_999_999);
  expect(await ask(client, "BITRANGE", "left", 0, -1)).toEqual([0, 5_000_000]);
});

test("pages of a set cover it, each id once", async () => {
  await ask(client, "BITADDRANGE", "paged", 100, 40_000);
  const seen: number[] = [];
  let cursor = "0";
  do {
    const [next, ids] = (await ask(client, "BITSCAN", "paged", cursor, "COUNT", 999)) as [string, number[]];
    seen.push(...ids);
    cursor = next;
  } while (cursor !== "0");
  expect(seen).toEqual(Array.from({ length: 39_901 }, (_, i) => i + 100));
});
