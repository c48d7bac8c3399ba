/** CLIENT PAUSE: what has expired does not die meanwhile, and does not stay beside what takes its name either. */
import { expect, test } from "vitest";
import { TestServer } from "./harness.js";

test.each([
  "SETBIT k 9 1",
  "SET k w",
  "BITADD k 9",
  "APPEND k w",
  "INCR k",
  "COPY other k",
  "RENAME other k",
  "BITOP OR k other other",
])("%s in the transaction that pauses takes the place of a key that has expired", async (request) => {
  const server = new TestServer();
  const client = server.connect();
  client.sayAll("SET k v", "SET other 1", "PEXPIRE k 3");
  await server.saver.save();
  server.clock.advance(10);
  client.sayAll("MULTI", "CLIENT PAUSE 20000 WRITE", request, "EXEC", "CLIENT UNPAUSE");
  await server.saver.save();
  const keys = request.startsWith("RENAME") ? ["k"] : ["k", "other"];
  expect(client.say("DBSIZE")).toBe(`:${keys.length}\r\n`);
  const [database] = server.keyspace.databases;
  expect(server.keyspace.keys(database!, () => true).sort()).toEqual(keys);
  expect(server.keyspace.expiredKeys).toBe(1);
  client.say("DEL k other");
  expect(client.say("DBSIZE")).toBe(":0\r\n");
  await server.saver.save();
  expect(server.keyspace.keys(database!, () => true)).toEqual([]);
});

test("who has left does not wait for the end", () => {
  const server = new TestServer();
  const { pause } = server;
  pause.begin("all", 60_000);
  const gone = server.connect();
  gone.say("SET k v");
  const stays = server.connect();
  stays.say("SET k v");
  expect(pause.waiting).toBe(2);
  gone.client.leave();
  expect(pause.waiting).toBe(1);
  pause.end();
  expect(pause.waiting).toBe(0);
});
