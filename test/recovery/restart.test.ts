/**
 * What was acknowledged is there after the server has ended, however it ended. Each case is done twice: on keys that are in
 * the file before the change (`stored:`), and on keys that came with it (`fresh:`), which take different ways through the writer.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, askAll, keysOf, ReplyError, scanAll, type Value } from "../support/ask.js";
import { dice } from "../support/random.js";
import type { RawClient } from "../support/raw-client.js";
import { Sandbox, type ServerProcess, sandbox, sleep } from "../support/server-process.js";

/** Every write older than a second survives kill -9; half a second is for a busy machine. */
const SETTLE_MS = 1500;

const FAR_DEADLINE = 4_102_444_800_123; // the year 2100
const KINDS = ["stored", "fresh"] as const;

type Ending = (server: ServerProcess) => Promise<void>;

const ENDINGS: Record<string, Ending> = {
  "after SIGTERM": async (server) => {
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  },
  "after SHUTDOWN": async (server) => {
    const client = await server.connect();
    await expect(client.call("SHUTDOWN")).rejects.toThrow();
    expect(await server.exit()).toEqual({ code: 0, signal: null });
  },
  "after kill -9, 1.5 s later": async (server) => {
    await sleep(SETTLE_MS);
    await server.kill();
  },
};

/** Database 1 is for RENAME and the like, 2 is moved into, 3 and 4 are swapped, 5 is flushed and filled again, 6 is flushed. */
function creation(kind: string): string[] {
  return [
    "SELECT 0",
    `SET ${kind}:text hello`,
    `SET ${kind}:replaced before`,
    `SETBIT ${kind}:bits 0 1`,
    `SETBIT ${kind}:bits 100000 1`,
    `SETBIT ${kind}:far 4294967295 1`,
    `SETBIT ${kind}:zeros 100 0`,
    `SET ${kind}:deleted x`,
    `SET ${kind}:unlinked x`,
    `SET ${kind}:volatile x`,
    `SET ${kind}:persisted x EX 1000`,
    `SET ${kind}:overwritten x EX 1000`,
    `SET ${kind}:kept x`,
    `PEXPIREAT ${kind}:kept ${FAR_DEADLINE}`,
    `SET ${kind}:moved travels`,
    `PEXPIREAT ${kind}:moved ${FAR_DEADLINE}`,
    `SET ${kind}:copied twin`,
    `PEXPIREAT ${kind}:copied ${FAR_DEADLINE}`,
    `SET ${kind}:again first`,
    "SELECT 1",
    `SET ${kind}:from named`,
    `PEXPIREAT ${kind}:from ${FAR_DEADLINE}`,
    `SET ${kind}:over old`,
    `SET ${kind}:winner new`,
    `SET ${kind}:x 1`,
    `SET ${kind}:y 2`,
    "SELECT 3",
    `SET ${kind}:three 3`,
    "SELECT 4",
    `SET ${kind}:four 4`,
    "SELECT 5",
    `SET ${kind}:five 5`,
    `SET ${kind}:volatile 5 EX 1000`,
    "SELECT 6",
    `SET ${kind}:six 6`,
  ];
}

function change(kind: string): string[] {
  return [
    "SELECT 0",
    `SET ${kind}:replaced after`,
    `SETBIT ${kind}:bits 7 1`,
    `SETBIT ${kind}:bits 0 0`,
    `SETBIT ${kind}:far 0 1`,
    `DEL ${kind}:deleted`,
    `UNLINK ${kind}:unlinked`,
    `PEXPIREAT ${kind}:volatile ${FAR_DEADLINE}`,
    `PERSIST ${kind}:persisted`,
    `SET ${kind}:overwritten y`,
    `SET ${kind}:kept z KEEPTTL`,
    `MOVE ${kind}:moved 2`,
    `COPY ${kind}:copied ${kind}:copy`,
    `COPY ${kind}:copied ${kind}:copy DB 2`,
    `SETBIT ${kind}:copied 0 1`,
    `DEL ${kind}:again`,
    `SETBIT ${kind}:again 8 1`,
    `BITOP OR ${kind}:or ${kind}:bits ${kind}:text`,
    `BITOP NOT ${kind}:not ${kind}:text`,
    `BITOP AND ${kind}:and ${kind}:text missing`,
    "SELECT 1",
    `RENAME ${kind}:from ${kind}:to`,
    `RENAME ${kind}:winner ${kind}:over`,
    `RENAME ${kind}:x ${kind}:tmp`,
    `RENAME ${kind}:y ${kind}:x`,
    `RENAME ${kind}:tmp ${kind}:y`,
  ];
}

const CHANGE_OF_DATABASES = [
  "SWAPDB 3 4",
  "SELECT 3",
  "SET swapped:three now",
  "SELECT 5",
  "FLUSHDB",
  "SET flushed:new 1",
  "SET flushed:volatile 1 EX 1000",
  "SET stored:five again",
  "SELECT 6",
  "FLUSHDB",
  "SELECT 0",
];

describe.each(Object.keys(ENDINGS))("%s", (name) => {
  const place = new Sandbox();
  const databases: RawClient[] = [];

  beforeAll(async () => {
    const first = await place.start();
    const writer = await first.connect();
    await askAll(writer, creation("stored"));
    await ask(writer, "SAVE");
    await askAll(writer, [...creation("fresh"), ...KINDS.flatMap(change), ...CHANGE_OF_DATABASES]);
    await ENDINGS[name]!(first);
    const second = await place.start();
    for (let number = 0; number < 16; number++) databases.push(await second.connect(number));
  });

  afterAll(() => place.cleanup());

  const in_ = (number: number) => databases[number] as RawClient;
  const get = (number: number, key: string) => ask(in_(number), "GET", key);

  describe.each(KINDS)("a %s key", (kind) => {
    test("has its value", async () => {
      expect(await get(0, `${kind}:text`)).toBe("hello");
      expect(await get(0, `${kind}:replaced`)).toBe("after");
    });

    test("has the bits that were set, without those that were cleared", async () => {
      expect(await ask(in_(0), "BITCOUNT", `${kind}:bits`)).toBe(2);
      expect(await ask(in_(0), "GETBIT", `${kind}:bits`, 0)).toBe(0);
      expect(await ask(in_(0), "GETBIT", `${kind}:bits`, 7)).toBe(1);
      expect(await ask(in_(0), "GETBIT", `${kind}:bits`, 100000)).toBe(1);
      expect(await ask(in_(0), "GETBIT", `${kind}:far`, 4294967295)).toBe(1);
      expect(await ask(in_(0), "BITCOUNT", `${kind}:far`)).toBe(2);
    });

    test("has its length, which its bits alone do not tell", async () => {
      expect(await ask(in_(0), "STRLEN", `${kind}:zeros`)).toBe(13);
      expect(await ask(in_(0), "STRLEN", `${kind}:far`)).toBe(2 ** 29);
      expect(await ask(in_(0), "STRLEN", `${kind}:bits`)).toBe(12501);
    });

    test("stays deleted, and what was made anew under its name is the new one", async () => {
      expect(await ask(in_(0), "EXISTS", `${kind}:deleted`, `${kind}:unlinked`)).toBe(0);
      expect(await get(0, `${kind}:again`)).toBe("\x00\x80");
    });

    test("has its deadline to the millisecond, and none where it was taken away", async () => {
      expect(await ask(in_(0), "PEXPIRETIME", `${kind}:volatile`)).toBe(FAR_DEADLINE);
      expect(await ask(in_(0), "PEXPIRETIME", `${kind}:kept`)).toBe(FAR_DEADLINE);
      expect(await get(0, `${kind}:kept`)).toBe("z");
      expect(await ask(in_(0), "TTL", `${kind}:persisted`)).toBe(-1);
      expect(await ask(in_(0), "TTL", `${kind}:overwritten`)).toBe(-1);
      expect(await ask(in_(0), "TTL", `${kind}:text`)).toBe(-1);
    });

    test("is under its new name only, with its deadline, after RENAME", async () => {
      expect(await get(1, `${kind}:from`)).toBe(null);
      expect(await get(1, `${kind}:to`)).toBe("named");
      expect(await ask(in_(1), "PEXPIRETIME", `${kind}:to`)).toBe(FAR_DEADLINE);
    });

    test("replaces the one whose name it took", async () => {
      expect(await get(1, `${kind}:winner`)).toBe(null);
      expect(await get(1, `${kind}:over`)).toBe("new");
    });

    test("exchanges its name with another by way of a third", async () => {
      expect([await get(1, `${kind}:x`), await get(1, `${kind}:y`), await get(1, `${kind}:tmp`)]).toEqual([
        "2",
        "1",
        null,
      ]);
    });

    test("is in the other database only, with its deadline, after MOVE", async () => {
      expect(await get(0, `${kind}:moved`)).toBe(null);
      expect(await get(2, `${kind}:moved`)).toBe("travels");
      expect(await ask(in_(2), "PEXPIRETIME", `${kind}:moved`)).toBe(FAR_DEADLINE);
    });

    test("has copies that a later change of it did not reach", async () => {
      expect(await get(0, `${kind}:copied`)).toBe("\xf4win");
      for (const number of [0, 2]) {
        expect(await get(number, `${kind}:copy`)).toBe("twin");
        expect(await ask(in_(number), "PEXPIRETIME", `${kind}:copy`)).toBe(FAR_DEADLINE);
      }
    });

    test("holds the result of BITOP, to its length", async () => {
      expect(await ask(in_(0), "BITCOUNT", `${kind}:or`)).toBe(23);
      expect(await ask(in_(0), "STRLEN", `${kind}:or`)).toBe(12501);
      expect(await ask(in_(0), "GETRANGE", `${kind}:or`, 0, 4)).toBe("iello");
      expect(await get(0, `${kind}:not`)).toBe("\x97\x9a\x93\x93\x90");
      expect(await get(0, `${kind}:and`)).toBe("\0\0\0\0\0");
    });

    test("is where SWAPDB put it", async () => {
      expect([await get(3, `${kind}:four`), await get(4, `${kind}:three`)]).toEqual(["4", "3"]);
      expect([await get(4, `${kind}:four`), await get(3, `${kind}:three`)]).toEqual([null, null]);
      expect(await get(3, "swapped:three")).toBe("now");
    });
  });

  test("a flushed database has only what came after the flush", async () => {
    expect(await keysOf(in_(5))).toEqual(["flushed:new", "flushed:volatile", "stored:five"]);
    expect(await get(5, "stored:five")).toBe("again");
    expect(await keysOf(in_(6))).toEqual([]);
  });

  test("KEYS, SCAN, DBSIZE and INFO agree about every database", async () => {
    const info = String(await ask(in_(0), "INFO", "keyspace"));
    for (let number = 0; number < 16; number++) {
      const keys = await keysOf(in_(number));
      const deadlines: Value[] = [];
      for (const key of keys) deadlines.push(await ask(in_(number), "PEXPIRETIME", key));
      const expires = deadlines.filter((deadline) => deadline !== -1).length;
      expect(await scanAll(in_(number))).toEqual(keys);
      expect(await ask(in_(number), "DBSIZE")).toBe(keys.length);
      const line = new RegExp(`^db${number}:(.*)`, "m").exec(info)?.[1];
      if (keys.length === 0) expect(line).toBe(undefined);
      else expect(line).toContain(`keys=${keys.length},expires=${expires},`);
    }
  });
});

test("all of 0..255 as keys of one byte, and as one key of 256 bytes, survive a restart and are listed", async () => {
  const place = sandbox();
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
  const whole = bytes.join("");
  const keys = [...bytes, whole].sort();
  const value = (key: string) => `<${key}>`;

  const first = await place.start();
  const writer = await first.connect();
  await askAll(
    writer,
    keys.map((key) => ["SET", key, value(key)]),
  );
  await check(writer);
  await first.stop();

  const second = await place.start();
  await check(await second.connect());

  async function check(client: RawClient): Promise<void> {
    expect(await ask(client, "DBSIZE")).toBe(257);
    expect(await keysOf(client)).toEqual(keys);
    expect(await scanAll(client, "COUNT", "7")).toEqual(keys);
    expect(
      await askAll(
        client,
        keys.map((key) => ["GET", key]),
      ),
    ).toEqual(keys.map(value));
    const drawn = (await askAll(client, Array(500).fill(["RANDOMKEY"]))) as string[];
    expect(drawn.filter((key) => !keys.includes(key))).toEqual([]);
    expect(new Set(drawn).size).toBeGreaterThan(64);
  }
});

test("the empty key and the empty value survive a restart", async () => {
  const place = sandbox();
  const first = await place.start();
  const writer = await first.connect();
  await askAll(writer, [
    ["SET", "", "of the empty key"],
    ["SET", "empty", ""],
    ["SETBIT", "was", "7", "1"],
    ["SET", "was", ""],
  ]);
  await first.stop();

  const client = await (await place.start()).connect();
  expect(await keysOf(client)).toEqual(["", "empty", "was"]);
  expect(await scanAll(client)).toEqual(["", "empty", "was"]);
  expect(await ask(client, "GET", "")).toBe("of the empty key");
  for (const key of ["empty", "was"]) {
    expect(await ask(client, "GET", key)).toBe("");
    expect(await ask(client, "STRLEN", key)).toBe(0);
    expect(await ask(client, "EXISTS", key)).toBe(1);
  }
  await ask(client, "DEL", "");
  expect(await ask(client, "EXISTS", "")).toBe(0);
});

test("after SAVE and kill -9 a server holds exactly what it held before, whatever was done", async () => {
  const ROUNDS = 6;
  const STEPS = 600;
  const place = sandbox();
  const random = dice("random changes, SAVE, kill -9");
  let expected: State | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const server = await place.start();
    const client = await server.connect();
    if (expected !== undefined) expect(await stateOf(client), `round ${round}, seed ${random.seed}`).toEqual(expected);
    for (let step = 0; step < STEPS; step += 30) {
      const requests = Array.from({ length: 30 }, () => randomChange(random));
      const replies = await client.pipeline(requests);
      expect(replies.filter((reply) => /^-(?!ERR no such key|ERR source and destination)/.test(reply))).toEqual([]);
      // So that a flush falls between any two steps.
      if (random.next() < 0.3) await ask(client, "BGSAVE");
      if (random.next() < 0.1) await ask(client, "SAVE");
    }
    expected = await stateOf(client);
    await ask(client, "SAVE");
    await server.kill();
  }
});

/** What a client can see of the databases 0..3: by database and key the value and the deadline. */
type State = Record<string, [Value, Value]>;

const RANDOM_DATABASES = 4;

async function stateOf(client: RawClient): Promise<State> {
  const state: State = {};
  for (let number = 0; number < RANDOM_DATABASES; number++) {
    await ask(client, "SELECT", number);
    const keys = await keysOf(client);
    expect(await scanAll(client, "COUNT", "3")).toEqual(keys);
    expect(await ask(client, "DBSIZE")).toBe(keys.length);
    for (const key of keys)
      state[`${number} ${key}`] = [await ask(client, "GET", key), await ask(client, "PEXPIRETIME", key)];
  }
  return state;
}

function randomChange(random: ReturnType<typeof dice>): string[] {
  const key = () => `k${random.int(0, 11)}`;
  const database = () => String(random.int(0, RANDOM_DATABASES - 1));
  const deadline = () => String(FAR_DEADLINE + random.int(0, 1000));
  const changes: (() => string[])[] = [
    () => ["SETBIT", key(), String(random.int(0, 200)), String(random.int(0, 1))],
    () => ["SETBIT", key(), String(random.int(0, 200_000)), "1"],
    () => ["SET", key(), "x".repeat(random.int(0, 5))],
    () => ["SET", key(), "ttl", "PXAT", deadline()],
    () => ["SET", key(), "kept", "KEEPTTL"],
    () => ["DEL", key(), key()],
    () => ["RENAME", key(), key()],
    () => ["RENAMENX", key(), key()],
    () => ["MOVE", key(), database()],
    () => ["COPY", key(), key(), "DB", database(), "REPLACE"],
    () => ["BITOP", random.pick(["AND", "OR", "XOR"]), key(), key(), key()],
    () => ["BITOP", "NOT", key(), key()],
    () => ["PEXPIREAT", key(), deadline()],
    () => ["PEXPIREAT", key(), "1"],
    () => ["PERSIST", key()],
    () => ["MSET", key(), "m", key(), "n"],
  ];
  const databases: (() => string[])[] = [() => ["SWAPDB", database(), database()], () => ["FLUSHDB"]];
  const chance = random.next();
  if (chance < 0.1) return ["SELECT", database()];
  return random.pick(chance < 0.14 ? databases : changes)();
}

test("an error reply is no change: nothing of it is in the file", async () => {
  const place = sandbox();
  const first = await place.start();
  const writer = await first.connect();
  for (const request of ["SETBIT k 4294967296 1", "SETBIT k 0 2", "RENAME none k", "BITOP NOT k a b", "SET k v EX 0"]) {
    await expect(ask(writer, ...request.split(" "))).rejects.toThrow(ReplyError);
  }
  await first.stop();
  const client = await (await place.start()).connect();
  expect(await keysOf(client)).toEqual([]);
});
