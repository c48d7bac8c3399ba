import { expect, test } from "vitest";
import { TestServer } from "./harness.js";

test("SLURP names a server, a database of it, and the client's own", async () => {
  const server = new TestServer();
  const client = server.connect();
  client.say("SLURP redis.example:6379");
  expect(await client.settled()).toBe("+OK\r\n");
  client.say("SELECT 4");
  client.say("slurp [::1]:7000 12");
  expect(await client.settled()).toBe("+OK\r\n");
  expect(server.slurped).toEqual([
    { host: "redis.example", port: 6379, database: 0, into: 0 },
    { host: "::1", port: 7000, database: 12, into: 4 },
  ]);
});

test("SLURP says what failed", async () => {
  const server = new TestServer();
  server.slurpEnds = async () => {
    throw new Error("2 of 10 keys are not as they are there");
  };
  const client = server.connect();
  client.say("SLURP h:1");
  expect(await client.settled()).toBe("-ERR 2 of 10 keys are not as they are there\r\n");
});

test.each([
  ["SLURP", "-ERR wrong number of arguments for 'slurp' command\r\n"],
  ["SLURP host", "-ERR invalid address, write host:port\r\n"],
  ["SLURP :6379", "-ERR invalid address, write host:port\r\n"],
  ["SLURP ::1:6379", "-ERR invalid address, write host:port\r\n"],
  ["SLURP h:65536", "-ERR invalid address, write host:port\r\n"],
  ["SLURP h:1 x", "-ERR invalid DB index\r\n"],
  ["SLURP h:1 -1", "-ERR invalid DB index\r\n"],
  ["SLURP h:1 0 more", "-ERR wrong number of arguments for 'slurp' command\r\n"],
])("%s", (request, reply) => {
  const server = new TestServer();
  expect(server.connect().say(request)).toBe(reply);
  expect(server.slurped).toEqual([]);
});

test("SLURP is not for transactions", () => {
  const client = new TestServer().connect();
  client.say("MULTI");
  expect(client.say("SLURP h:1")).toBe("-ERR Command not allowed inside a transaction\r\n");
});
