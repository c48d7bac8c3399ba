/** OBJECT and MEMORY where they tell of this server: what was used when, and what memory is taken. */
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { IDLE_MS, NATIVE_OBJECT_BYTES, PURGE_PAUSE_MS } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Database } from "../../../src/keyspace/database.js";
import { START_MS, type TestClient, TestServer } from "./harness.js";

function setUp() {
  const server = new TestServer();
  const client = server.connect();
  const later = (ms: number) => server.clock.set(server.clock.now() + ms);
  /** All is in the file and nothing in memory. */
  const leave = () => {
    server.storage.commit(server.keyspace);
    server.keyspace.residency.forgetClean();
    expect(server.keyspace.residency.keys).toBe(0);
  };
  return { server, client, later, leave };
}

const numberOf = (client: TestClient, request: string) => Number(client.say(request).slice(1));

describe("OBJECT IDLETIME", () => {
  test("is the time since the key was used, and asking is no use", () => {
    const { client, later } = setUp();
    client.say("SET a 1");
    later(5000);
    for (const word of ["ENCODING", "REFCOUNT", "FREQ", "IDLETIME"]) client.say(`OBJECT ${word} a`);
    client.say("MEMORY USAGE a");
    expect(numberOf(client, "OBJECT IDLETIME a")).toBe(5);
    later(6000);
    expect(numberOf(client, "OBJECT IDLETIME a")).toBe(11);
    client.say("GET a");
    expect(numberOf(client, "OBJECT IDLETIME a")).toBe(0);
  });

  test("of a key that is not in memory is the time since the start, or that after which keys leave memory", () => {
    const { client, later, leave } = setUp();
    client.say("SET a 1");
    leave();
    later(7000);
    expect(numberOf(client, "OBJECT IDLETIME a")).toBe(7);
    leave();
    later(3 * IDLE_MS);
    expect(numberOf(client, "OBJECT IDLETIME a")).toBe(IDLE_MS / 1000);
  });

  test("is what RESTORE says, also where that is before the start", () => {
    const { client } = setUp();
    client.say("SET a 1");
    const dumped = client.say("DUMP a");
    const payload = Buffer.from(dumped.slice(dumped.indexOf("\r\n") + 2, -2), "latin1");
    for (const seconds of [0, 7, 100_000]) {
      expect(client.run("RESTORE", "b", "0", payload, "REPLACE", "IDLETIME", String(seconds))).toBe("+OK\r\n");
      expect(numberOf(client, "OBJECT IDLETIME b")).toBe(seconds);
    }
  });

  test("counts a hit or a miss, as a look-up", () => {
    const { server, client } = setUp();
    client.sayAll("SET a 1", "OBJECT IDLETIME a", "OBJECT IDLETIME b");
    expect([server.stats.keyspaceHits, server.stats.keyspaceMisses]).toEqual([1, 1]);
  });
});

describe("MEMORY USAGE", () => {
  test("of all keys together is what the allocators count, for values of every kind in the arena", () => {
    const { server, client } = setUp();
    const { arena, entries } = (server.keyspace.databases[0] as Database).contents;
    for (let k = 0; k < 200; k++) {
      const key = "k".repeat(k);
      for (let i = 0; i <= k; i++) client.run("SETBIT", key, String(i * 37 * k), "1");
    }
    for (let i = 0; i < 3000; i++) client.run("SETBIT", "containers", String(i * 999), "1");
    const { nativeValues } = server.keyspace.residency;
    expect(nativeValues).toBe(0);
    let sum = numberOf(client, "MEMORY USAGE containers");
    for (let k = 0; k < 200; k++) sum += Number(client.run("MEMORY", "USAGE", "k".repeat(k)).slice(1));
    // The hash table has free slots beside those of the entries.
    const freeSlots = arena.usedBytes + entries.usedBytes - sum;
    expect(freeSlots).toBeGreaterThanOrEqual(0);
    expect(freeSlots).toBeLessThan(entries.usedBytes);
    expect(sum).toBeGreaterThan(arena.usedBytes + 201 * 64);
  });

  test("of a native value is what Roaring's allocator counts, with what holes and objects take", () => {
    const { server, client } = setUp();
    const database = server.keyspace.databases[0] as Database;
    const before = server.keyspace.residency.bytes;
    const members = Uint32Array.from({ length: 100_000 }, (_, i) => i * 17);
    server.keyspace.setValue(database, "a", Bitmap.fromMembers(members, 212_500));
    const taken = server.keyspace.residency.bytes - before;
    const told = numberOf(client, "MEMORY USAGE a");
    expect(told).toBeGreaterThan(taken * 0.9);
    expect(told).toBeLessThan(taken * 1.1);
  });

  test("of a result that is not made is little", () => {
    const { server, client } = setUp();
    const database = server.keyspace.databases[0] as Database;
    const members = (step: number) => Uint32Array.from({ length: 100_000 }, (_, i) => i * step);
    server.keyspace.setValue(database, "a", Bitmap.fromMembers(members(16), 250_000));
    server.keyspace.setValue(database, "b", Bitmap.fromMembers(members(17), 250_000));
    client.say("BITOP OR c a b");
    expect(numberOf(client, "MEMORY USAGE c")).toBeLessThan(NATIVE_OBJECT_BYTES + 200);
  });

  test("of a value that is not in memory is the entry, and it is not read", () => {
    const { server, client, leave } = setUp();
    for (let i = 0; i < 900; i++) client.say(`SETBIT a ${i * 65_536} 1`);
    expect(numberOf(client, "MEMORY USAGE a")).toBeGreaterThan(3600);
    leave();
    const loads = server.keyspace.storageLoads;
    expect(numberOf(client, "MEMORY USAGE a")).toBeLessThan(100);
    expect(server.keyspace.storageLoads).toBe(loads);
    expect(client.say("BITCOUNT a")).toBe(":900\r\n");
  });
});

describe("MEMORY STATS, DOCTOR and PURGE", () => {
  test("tell of what is in memory, and of each database that has some of it", () => {
    const { client } = setUp();
    client.sayAll("SET a 1", "SELECT 3", "SET b 1", "HELLO 3");
    const told = client.say("MEMORY STATS");
    expect(told).toContain("keys.count\r\n:2\r\n");
    expect(told).toContain("keys.resident\r\n:2\r\n");
    expect(told).toMatch(/\$4\r\ndb\.0\r\n%1\r\n\$23\r\noverhead\.hashtable\.main\r\n:\d+/);
    expect(told).toMatch(/\$4\r\ndb\.3\r\n%1\r\n/);
    expect(told).not.toContain("db.1");
    expect(told).toMatch(/dataset\.percentage\r\n,\d/);
  });

  test("speak of a file that can't be written", () => {
    const { server, client } = setUp();
    expect(client.say("MEMORY DOCTOR")).not.toContain("disk full");
    server.saver.failed("disk full");
    expect(client.say("MEMORY DOCTOR")).toContain("since the file can't be written: disk full.");
  });

  test("collect what is out of use", async () => {
    const { client } = setUp();
    // A function of its own, so that nothing of the object is left on the stack.
    const garbageOf = () => new WeakRef({ bytes: new Uint8Array(1000) });
    const garbage = garbageOf();
    // Until the turn ends a new WeakRef keeps what it refers to.
    await setTimeout(0);
    expect(client.say("MEMORY PURGE")).toBe("+OK\r\n");
    expect(garbage.deref()).toBeUndefined();
  });

  test("collect once a second, however often they are asked", async () => {
    const { server, client } = setUp();
    const garbageOf = () => new WeakRef({ bytes: new Uint8Array(1000) });
    const purge = async (garbage: WeakRef<object>) => {
      await setTimeout(0);
      expect(client.say("MEMORY PURGE")).toBe("+OK\r\n");
      const isGone = garbage.deref() === undefined;
      await setTimeout(0);
      return isGone;
    };
    expect(await purge(garbageOf())).toBe(true);
    expect(server.trims).toBe(1);
    const garbage = garbageOf();
    expect(await purge(garbage)).toBe(false);
    server.clock.advance(PURGE_PAUSE_MS);
    expect(await purge(garbage)).toBe(true);
    expect(server.trims).toBe(2);
  });
});

describe("DEBUG", () => {
  function allowed() {
    const server = new TestServer();
    server.enableDebugCommand = "yes";
    return { server, client: server.connect() };
  }

  test("is for local clients where that is said", () => {
    const { server, client } = allowed();
    server.enableDebugCommand = "local";
    expect(client.say("DEBUG SLEEP 0")).toBe("+OK\r\n");
    Object.assign(client, { address: "[::1]:5000" });
    expect(client.say("DEBUG SLEEP 0")).toBe("+OK\r\n");
    for (const address of ["10.0.0.1:5000", "127.0.0.11:5000", "[fe80::1]:5000", "?:undefined"]) {
      Object.assign(client, { address });
      expect(client.say("DEBUG SLEEP 0")).toContain("ERR DEBUG command not allowed.");
    }
  });

  test("SLEEP stops everything for so long", () => {
    const { client } = allowed();
    const begun = performance.now();
    expect(client.say("DEBUG SLEEP 0.05")).toBe("+OK\r\n");
    expect(performance.now() - begun).toBeGreaterThanOrEqual(49);
  });

  test("SET-ACTIVE-EXPIRE 0 leaves expired keys to whoever asks for them", () => {
    const { server, client } = allowed();
    client.sayAll("SET a 1 PX 10", "DEBUG SET-ACTIVE-EXPIRE 0");
    server.storage.commit(server.keyspace);
    server.clock.set(START_MS + 20);
    server.keyspace.expireCycle();
    expect(client.say("DBSIZE")).toBe(":1\r\n");
    client.say("DEBUG SET-ACTIVE-EXPIRE 1");
    server.keyspace.expireCycle();
    expect(client.say("DBSIZE")).toBe(":0\r\n");
  });

  test("RELOAD answers when what was changed is settled, and nothing of it is in memory then", async () => {
    const { server, client } = allowed();
    client.sayAll("SET a 1", "SETBIT b 9 1");
    expect(client.say("DEBUG RELOAD")).toBe("");
    const reply = client.settled();
    const settling = setInterval(() => {
      server.storage.settle();
      server.storage.reportSettled(server.keyspace);
      server.saver.settled();
    }, 1);
    expect(await reply).toBe("+OK\r\n");
    clearInterval(settling);
    expect(server.keyspace.residency.keys).toBe(0);
    expect(client.sayAll("GET a", "GETBIT b 9", "DBSIZE")).toEqual(["$1\r\n1\r\n", ":1\r\n", ":2\r\n"]);
  });

  test("RELOAD fails where nothing can be saved, and is not for transactions", async () => {
    const { server, client } = allowed();
    expect(client.sayAll("MULTI", "DEBUG RELOAD", "EXEC").at(-1)).toContain("-ERR Command not allowed inside");
    client.say("SET a 1");
    server.saver.failed("disk full");
    client.say("DEBUG RELOAD");
    expect(await client.settled()).toBe("-ERR\r\n");
    expect(server.keyspace.residency.keys).toBe(1);
  });
});
