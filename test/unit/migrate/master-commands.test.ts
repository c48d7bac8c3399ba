/** A master's commands, on a server without a link: what a redis-server of today does not send. */
import { expect, test } from "vitest";
import { MigrateError } from "../../../src/migrate/item.js";
import { MasterCommands } from "../../../src/migrate/master-commands.js";
import { Argv } from "../../../src/resp/argv.js";
import { START_MS, TestServer } from "../commands/harness.js";

/** A replica, its master's commands, and a client of it. */
function replica() {
  const server = new TestServer();
  const client = server.connect();
  server.replicaOf({ host: "master", port: 6379 });
  server.keyspace.isReplica = true;
  const commands = new MasterCommands(server, client);
  const run = (request: string) => commands.run(Argv.of(...request.split(" ")));
  return { server, client, commands, run };
}

test("times that are relative, as before Redis 7, count from now", () => {
  const { client, run } = replica();
  for (const request of ["SETEX a 10 v", "SET b v", "EXPIRE b 10", "SET c v PX 10000"]) run(request);
  for (const key of ["a", "b", "c"]) expect(client.say(`PEXPIRETIME ${key}`)).toBe(`:${START_MS + 10_000}\r\n`);
});

test("a deadline that has passed meanwhile deletes nothing, and the master may take it away again", () => {
  const { server, client, run } = replica();
  for (const key of ["a", "b", "c"]) run(`SET ${key} v`);
  run(`PEXPIREAT a ${START_MS - 1}`);
  run(`GETEX b PXAT ${START_MS - 1}`);
  run(`SET c v PXAT ${START_MS - 1}`);
  expect(client.sayAll("GET a", "GET b", "GET c", "DBSIZE")).toEqual(["$-1\r\n", "$-1\r\n", "$-1\r\n", ":3\r\n"]);
  for (const key of ["a", "b", "c"]) run(`PERSIST ${key}`);
  expect(client.sayAll("GET a", "GET b", "GET c")).toEqual(["$1\r\nv\r\n", "$1\r\nv\r\n", "$1\r\nv\r\n"]);
  expect(server.replication.skippedCommands.size).toBe(0);
});

test("scripts, and what nobody knows, are passed over with a warning, once each", () => {
  const { server, run } = replica();
  for (const request of ["EVAL x 0", "EVAL x 0", "MODULE.SET k v", "MODULE.GET k", "HSET h f v", "SCRIPT LOAD x"])
    run(request);
  expect(Object.fromEntries(server.replication.skippedCommands)).toEqual({ eval: 2, unknown: 2, hset: 1, script: 1 });
  expect(server.logged.filter((line) => line.includes("warning"))).toHaveLength(3);
});

test("deadlines of hashes' fields, which Redis has since 7.4, are no reason for a warning", () => {
  const { server, run } = replica();
  run("HPEXPIREAT h 1700000000000 FIELDS 1 f");
  run("HPERSIST h FIELDS 1 f");
  expect(Object.fromEntries(server.replication.skippedCommands)).toEqual({ hpexpireat: 1, hpersist: 1 });
  expect(server.logged.filter((line) => line.includes("warning"))).toEqual([]);
});

test("commands of a module whose names there are here too are passed over: its keys have not come", () => {
  const { server, client, run } = replica();
  for (const request of ["R.SETBIT k 5 1", "R.SETINTARRAY k 1 2", "SLURP 127.0.0.1:1"]) run(request);
  expect(client.say("EXISTS k")).toBe(":0\r\n");
  expect(Object.fromEntries(server.replication.skippedCommands)).toEqual({ unknown: 3 });
  expect(server.logged.filter((line) => line.includes("warning"))).toHaveLength(3);
});

test("a database that is not here can't be followed into", () => {
  const { commands, client } = replica();
  expect(() => commands.select(16)).toThrow(MigrateError);
  expect(() => commands.select(Number.NaN)).toThrow(MigrateError);
  expect(client.say("CLIENT LIST")).toContain(" db=0 ");
});

test("what is for administrators is not done for a master", () => {
  const { server, client, run } = replica();
  for (const request of ["CONFIG SET requirepass x", "SHUTDOWN", "REPLICAOF NO ONE", "SUBSCRIBE a"]) run(request);
  expect(server.shutdowns).toEqual([]);
  expect(client.say("ROLE")).toContain("slave");
  expect(client.say("CONFIG GET requirepass")).toContain("$0\r\n");
});

test("a transaction is done at its end, whole, and one that breaks off is not done", () => {
  const { server, client, commands, run } = replica();
  const { changes } = server.keyspace;
  for (const request of ["MULTI", "INCR a", "RPUSH l 1", "SELECT 3", "INCR b"]) run(request);
  expect(commands.isInTransaction).toBe(true);
  expect(server.keyspace.changes).toBe(changes);
  commands.drop();
  expect(commands.isInTransaction).toBe(false);
  for (const request of ["MULTI", "INCR a", "RPUSH l 1", "SELECT 3", "INCR b"]) run(request);
  run("EXEC");
  expect(client.sayAll("GET a", "SELECT 3", "GET b")).toEqual(["$1\r\n1\r\n", "+OK\r\n", "$1\r\n1\r\n"]);
  expect(Object.fromEntries(server.replication.skippedCommands)).toEqual({ rpush: 1 });
  run("INCR b");
  expect(client.say("GET b")).toBe("$1\r\n2\r\n");
});

test("RESTORE-ASKING, which nodes of a cluster send, is RESTORE", () => {
  const { client, commands, run } = replica();
  run("SET a v");
  const payload = client
    .say("DUMP a")
    .replace(/^\$\d+\r\n/, "")
    .slice(0, -2);
  commands.run(Argv.of("RESTORE-ASKING", "b", "0", payload));
  expect(client.say("GET b")).toBe("$1\r\nv\r\n");
});

test.each(["SET a v IFEQ x", "SELECT 16", "SWAPDB 0 99", "MOVE a 16", "INCR a"])(
  "what can't be repeated ends the following: %s",
  (request) => {
    const { run } = replica();
    run("SET a v");
    expect(() => run(request)).toThrow(MigrateError);
  },
);

test("its commands have the names that they have at the master, whatever they are called here", () => {
  const { server, client, run } = replica();
  Object.assign(server, { commands: server.commands.renamed([{ from: "set", to: "" }]) });
  run("SET a v");
  expect(client.say("GET a")).toBe("$1\r\nv\r\n");
});
