/** What happens to a request before and around its handler: unknown words, refusals, transactions, CLIENT REPLY. */
import { describe, expect, test } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { readBatch } from "../../../src/keyspace/change-log.js";
import { START_MS, TestServer } from "./harness.js";

const OK = "+OK\r\n";
const QUEUED = "+QUEUED\r\n";
const connect = () => new TestServer().connect();

describe("a command that is not there", () => {
  test.each([
    [["nonsense"], "-ERR unknown command 'nonsense', with args beginning with: \r\n"],
    [["NonSense", "a", "b"], "-ERR unknown command 'NonSense', with args beginning with: 'a' 'b' \r\n"],
    [[""], "-ERR unknown command '', with args beginning with: \r\n"],
    [["x", ""], "-ERR unknown command 'x', with args beginning with: '' \r\n"],
    [["a\r\nb", "c\nd"], "-ERR unknown command 'a  b', with args beginning with: 'c d' \r\n"],
    [["a\0b", "c\0d"], "-ERR unknown command 'a', with args beginning with: 'c' \r\n"],
    [["caf\xe9", "\xff"], "-ERR unknown command 'caf\xe9', with args beginning with: '\xff' \r\n"],
    [["client|id"], "-ERR unknown command 'client|id', with args beginning with: \r\n"],
    [["__proto__"], "-ERR unknown command '__proto__', with args beginning with: \r\n"],
    [["constructor"], "-ERR unknown command 'constructor', with args beginning with: \r\n"],
    [["get "], "-ERR unknown command 'get ', with args beginning with: \r\n"],
  ])("%j", (request, reply) => {
    expect(connect().run(...request)).toBe(reply);
  });

  test("is repeated up to 128 bytes, and so are its arguments together", () => {
    const long = "x".repeat(300);
    const reply = connect().run(long, "a".repeat(100), "b".repeat(100), "c");
    const args = `'${"a".repeat(100)}' '${"b".repeat(25)}' `;
    expect(reply).toBe(`-ERR unknown command '${"x".repeat(128)}', with args beginning with: ${args}\r\n`);
  });

  test.each([
    [["client", "nonsense"], "-ERR unknown subcommand 'nonsense'. Try CLIENT HELP.\r\n"],
    [["Config", "x\0y", "z"], "-ERR unknown subcommand 'x'. Try CONFIG HELP.\r\n"],
    [["command", "x".repeat(200)], `-ERR unknown subcommand '${"x".repeat(128)}'. Try COMMAND HELP.\r\n`],
  ])("subcommand %j", (request, reply) => {
    expect(connect().run(...request)).toBe(reply);
  });

  test("counts as an error and runs nothing", () => {
    const server = new TestServer();
    server.connect().say("nonsense");
    expect([server.stats.errorReplies, server.stats.commands]).toEqual([1, 0]);
  });
});

describe("the number of arguments", () => {
  test.each([
    ["GET", "get"],
    ["get a b", "get"],
    ["SETBIT k 1", "setbit"],
    ["DEL", "del"],
    ["CLIENT", "client"],
    ["client setname", "client|setname"],
    ["config get", "config|get"],
    ["MULTI x", "multi"],
    ["ping a b", "ping"],
    ["mset a 1 b", "mset"],
  ])("%s is wrong", (request, name) => {
    expect(connect().say(request)).toBe(`-ERR wrong number of arguments for '${name}' command\r\n`);
  });
});

describe("without the password", () => {
  function locked() {
    const server = new TestServer();
    server.users.requirepass = "secret";
    return server.connect();
  }

  test("only AUTH, HELLO, QUIT and RESET are run, others are refused before anything is looked at", () => {
    const client = locked();
    expect(client.say("GET k")).toBe("-NOAUTH Authentication required.\r\n");
    expect(client.say("nonsense")).toContain("ERR unknown command");
    expect(client.say("GET")).toContain("wrong number of arguments");
    expect(client.say("MULTI")).toBe("-NOAUTH Authentication required.\r\n");
    expect(client.say("RESET")).toBe("+RESET\r\n");
    expect(client.say("AUTH wrong")).toBe("-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    expect(client.say("AUTH secret")).toBe(OK);
    expect(client.say("GET k")).toBe("$-1\r\n");
  });

  test("RESET takes the authentication away again", () => {
    const client = locked();
    client.say("AUTH secret");
    client.say("RESET");
    expect(client.say("PING")).toBe("-NOAUTH Authentication required.\r\n");
  });

  test.each(["p\xe4ss", "\xc3\xa4", "\xff\0\xfe"])(
    "a password set by CONFIG SET as the bytes %j is taken",
    (password) => {
      const server = new TestServer();
      const client = server.connect();
      expect(client.run("CONFIG", "SET", "requirepass", password)).toBe(OK);
      expect(server.connect().run("AUTH", password)).toBe(OK);
      expect(client.say("CONFIG GET requirepass")).toBe(
        `*2\r\n$11\r\nrequirepass\r\n$${password.length}\r\n${password}\r\n`,
      );
    },
  );
});

describe("while the storage can't write", () => {
  test("writes are refused with the reason, reads and transactions of reads are not", () => {
    const server = new TestServer();
    const client = server.connect();
    client.say("SET k v");
    server.saver.failed("database or disk is full");
    expect(client.say("SETBIT k 1 1")).toBe(
      "-MISCONF Errors writing to the database file: database or disk is full\r\n",
    );
    expect(client.say("GET k")).toBe("$1\r\nv\r\n");
    expect(client.sayAll("MULTI", "GET k", "EXEC")).toEqual([OK, QUEUED, "*1\r\n$1\r\nv\r\n"]);
    expect(client.say("PING")).toBe("+PONG\r\n");
    server.saver.succeeded();
    expect(client.say("SETBIT k 1 1")).toBe(":1\r\n");
  });

  test("a write that was queued before is not run by EXEC either", () => {
    const server = new TestServer();
    const client = server.connect();
    client.sayAll("MULTI", "SETBIT k 1 1");
    server.saver.failed("database or disk is full");
    expect(client.say("EXEC")).toBe(
      "-EXECABORT Transaction discarded because of: MISCONF Errors writing to the database file: database or disk is full\r\n",
    );
    expect(client.say("EXISTS k")).toBe(":0\r\n");
  });

  test("SAVE fails with Redis' whole answer to that", async () => {
    const server = new TestServer();
    const client = server.connect();
    server.saver.failed("database or disk is full");
    expect(client.say("SAVE")).toBe("");
    expect(await client.settled()).toBe("-ERR\r\n");
  });
});

describe("a transaction", () => {
  test("queues, and runs as one", () => {
    const client = connect();
    expect(client.sayAll("MULTI", "SETBIT k 7 1", "GET k", "STRLEN k")).toEqual([OK, QUEUED, QUEUED, QUEUED]);
    expect(client.say("EXEC")).toBe("*3\r\n:0\r\n$1\r\n\x01\r\n:1\r\n");
    expect(client.say("EXEC")).toBe("-ERR EXEC without MULTI\r\n");
  });

  test.each([
    ["an unknown command", "nonsense"],
    ["an unknown subcommand", "client nonsense"],
    ["a wrong number of arguments", "GET"],
    ["a command that may not stand in it", "SAVE"],
  ])("with %s is refused as a whole", (_what, request) => {
    const client = connect();
    client.sayAll("MULTI", "SET k v");
    expect(client.say(request)).toMatch(/^-ERR /);
    expect(client.say("SET k2 v")).toBe(QUEUED);
    expect(client.say("EXEC")).toBe("-EXECABORT Transaction discarded because of previous errors.\r\n");
    expect(client.say("EXISTS k k2")).toBe(":0\r\n");
    expect(client.sayAll("MULTI", "SET k v", "EXEC")).toEqual([OK, QUEUED, "*1\r\n+OK\r\n"]);
  });

  test("with a command that fails when it runs goes on with the others", () => {
    const client = connect();
    client.sayAll("MULTI", "SETBIT k 1 2", "SETBIT k x 1", "SETBIT k 1 1");
    expect(client.say("EXEC")).toBe(
      "*3\r\n-ERR bit is not an integer or out of range\r\n-ERR bit offset is not an integer or out of range\r\n:0\r\n",
    );
  });

  test("with MULTI or WATCH in it says so and goes on", () => {
    const client = connect();
    client.say("MULTI");
    expect(client.say("MULTI")).toBe("-ERR MULTI calls can not be nested\r\n");
    expect(client.say("WATCH k")).toBe("-ERR WATCH inside MULTI is not allowed\r\n");
    expect(client.say("PING")).toBe(QUEUED);
    expect(client.say("EXEC")).toBe("*1\r\n+PONG\r\n");
  });

  test("ends with DISCARD or RESET, and nothing of it is run", () => {
    for (const [end, reply] of [
      ["DISCARD", OK],
      ["RESET", "+RESET\r\n"],
    ] as const) {
      const client = connect();
      client.sayAll("MULTI", "SET k v");
      expect(client.say(end)).toBe(reply);
      expect(client.say("EXISTS k")).toBe(":0\r\n");
      expect(client.say("DISCARD")).toBe("-ERR DISCARD without MULTI\r\n");
    }
  });

  test("keeps its arguments, whatever becomes of the bytes they came in", () => {
    const client = connect();
    const value = Buffer.from("before");
    client.say("MULTI");
    client.run("SET", "k", value);
    value.fill(0);
    client.say("EXEC");
    expect(client.say("GET k")).toBe("$6\r\nbefore\r\n");
  });

  test("sees one time from its first command to its last", () => {
    const server = new TestServer();
    const client = server.connect();
    client.sayAll("MULTI", "SET k v PX 10", "PTTL k", "TIME");
    server.clock.advance(1000);
    const time = String(START_MS / 1000 + 1);
    expect(client.say("EXEC")).toBe(`*3\r\n+OK\r\n:10\r\n*2\r\n$${time.length}\r\n${time}\r\n$1\r\n0\r\n`);
  });

  test("whose replies would be torn by an error keeps them whole", () => {
    const client = connect();
    client.run("SET", "k", Buffer.alloc(200_000, 1));
    client.sayAll("MULTI", "GET k", "SETBIT k 1 7", "STRLEN k");
    const reply = client.say("EXEC");
    expect(reply.length).toBe(
      "*3\r\n$200000\r\n".length + 200_000 + "\r\n-ERR bit is not an integer or out of range\r\n:200000\r\n".length,
    );
  });

  test("with a BGSAVE in it is committed by one batch: no half of it is ever in the file", async () => {
    const server = new TestServer();
    const client = server.connect();
    client.sayAll("MULTI", "SETBIT first 1 1", "BGSAVE", "SETBIT second 1 1", "EXEC");
    await server.saver.save();
    const created = server.storage.batches.map((batch) => {
      const keys: string[] = [];
      const nothing = () => {};
      readBatch(batch, {
        bit: nothing,
        measure: nothing,
        value: nothing,
        expression: nothing,
        make: nothing,
        rekey: nothing,
        delete: nothing,
        deadline: nothing,
        dropSlot: nothing,
        reserveSlot: nothing,
        piece: nothing,
        database: nothing,
        create: (_id, _slot, key) => keys.push(key),
      });
      return keys;
    });
    expect(created.filter((keys) => keys.length > 0)).toEqual([["first", "second"]]);
  });
});

describe("WATCH", () => {
  function two() {
    const server = new TestServer();
    return { server, client: server.connect(), other: server.connect() };
  }

  test("lets EXEC refuse after a change by anyone, oneself included", () => {
    for (const who of ["other", "client"] as const) {
      const clients = two();
      clients.client.say("WATCH k");
      clients[who].say("SETBIT k 1 1");
      expect(clients.client.sayAll("MULTI", "PING", "EXEC")).toEqual([OK, QUEUED, "*-1\r\n"]);
      expect(clients.client.sayAll("MULTI", "PING", "EXEC")[2]).toBe("*1\r\n+PONG\r\n");
    }
  });

  test("in RESP3 the refusal is a null", () => {
    const { client, other } = two();
    client.say("HELLO 3");
    client.say("WATCH k");
    other.say("SETBIT k 1 1");
    expect(client.sayAll("MULTI", "PING", "EXEC")[2]).toBe("_\r\n");
  });

  test("sees a key expire, also when nobody has met it", () => {
    const { server, client } = two();
    client.sayAll("SET k v PX 10", "WATCH k");
    server.clock.advance(11);
    expect(client.sayAll("MULTI", "PING", "EXEC")[2]).toBe("*-1\r\n");
  });

  test("does not mind a key that had expired before", () => {
    const { server, client } = two();
    client.say("SET k v PX 10");
    server.clock.advance(11);
    client.say("WATCH k");
    expect(client.sayAll("MULTI", "PING", "EXEC")[2]).toBe("*1\r\n+PONG\r\n");
  });

  test("is for the database that was selected then", () => {
    const { client, other } = two();
    client.sayAll("WATCH k", "SELECT 1");
    other.sayAll("SELECT 1", "SET k v");
    expect(client.sayAll("MULTI", "PING", "EXEC")[2]).toBe("*1\r\n+PONG\r\n");
    client.sayAll("SELECT 0", "WATCH k", "SELECT 1");
    other.sayAll("SELECT 0", "SET k v");
    expect(client.sayAll("MULTI", "PING", "EXEC")[2]).toBe("*-1\r\n");
  });

  test.each(["UNWATCH", "MULTI\nDISCARD", "RESET"])("is over after %j", (requests) => {
    const { client, other } = two();
    client.say("WATCH k");
    other.say("SET k v");
    client.sayAll(...requests.split("\n"));
    expect(client.sayAll("MULTI", "PING", "EXEC")[2]).toBe("*1\r\n+PONG\r\n");
  });

  test("a spoilt transaction is refused as such, and a client that leaves is forgotten", () => {
    const { server, client, other } = two();
    client.say("WATCH k");
    other.say("SET k v");
    expect(client.sayAll("MULTI", "nonsense", "EXEC")[2]).toContain("EXECABORT");
    client.say("WATCH k");
    client.client.leave();
    expect(server.clients.size).toBe(1);
    expect(other.say("SET k w")).toBe(OK);
  });
});

describe("CLIENT REPLY", () => {
  test("SKIP silences itself and one command", () => {
    expect(connect().sayAll("CLIENT REPLY SKIP", "PING", "PING", "PING")).toEqual(["", "", "+PONG\r\n", "+PONG\r\n"]);
  });

  test("SKIP twice silences one command more", () => {
    expect(connect().sayAll("CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING", "PING")).toEqual([
      "",
      "",
      "",
      "+PONG\r\n",
    ]);
  });

  test("SKIP silences an error too, and the command is run", () => {
    const client = connect();
    expect(client.sayAll("CLIENT REPLY SKIP", "nonsense", "PING")).toEqual(["", "", "+PONG\r\n"]);
    expect(client.sayAll("CLIENT REPLY SKIP", "SET k v", "GET k")).toEqual(["", "", "$1\r\nv\r\n"]);
  });

  test("SKIP silences a command that is answered later", async () => {
    const client = connect();
    client.say("CLIENT REPLY SKIP");
    expect(client.say("SAVE")).toBe("");
    expect(await client.settled()).toBe("");
    expect(client.say("PING")).toBe("+PONG\r\n");
  });

  test("OFF silences everything until ON, which is answered", async () => {
    const client = connect();
    expect(client.sayAll("CLIENT REPLY OFF", "PING", "GET", "nonsense", "SET k v")).toEqual(["", "", "", "", ""]);
    expect(client.say("SAVE")).toBe("");
    expect(await client.settled()).toBe("");
    expect(client.sayAll("CLIENT REPLY SKIP", "PING", "PING")).toEqual(["", "", ""]);
    expect(client.sayAll("CLIENT REPLY ON", "GET k")).toEqual([OK, "$1\r\nv\r\n"]);
  });

  test("OFF lets go of what a large reply would have been read from", () => {
    const client = connect();
    const noise = Buffer.from(Array.from({ length: 2_000_000 }, (_, i) => (i * 2654435761) >>> 13));
    client.run("SET", "k", noise);
    client.say("CLIENT REPLY OFF");
    const before = Bitmap.usedBytes();
    for (let i = 0; i < 20; i++) client.say("GET k");
    expect(Bitmap.usedBytes()).toBeLessThan(before + 1_000_000);
  });

  test("RESET switches replies on", () => {
    expect(connect().sayAll("CLIENT REPLY OFF", "RESET", "PING")).toEqual(["", "+RESET\r\n", "+PONG\r\n"]);
  });

  test("with another word is a syntax error", () => {
    expect(connect().say("CLIENT REPLY MAYBE")).toBe("-ERR syntax error\r\n");
  });
});

describe("words that JavaScript knows", () => {
  test.each(["constructor", "__proto__", "toString", "valueOf", "hasOwnProperty"])(
    "%s is no section and no parameter",
    (word) => {
      const client = connect();
      expect(client.say(`INFO ${word}`)).toBe("$0\r\n\r\n");
      expect(client.say(`CONFIG GET ${word}`)).toBe("*0\r\n");
      expect(client.say(`CONFIG SET ${word} x`)).toContain("ERR Unknown option");
      expect(client.say(`BITOP ${word} d s`)).toBe("-ERR syntax error\r\n");
      expect(client.say(`SET k v ${word}`)).toBe("-ERR syntax error\r\n");
      expect(client.say(`COMMAND LIST FILTERBY ACLCAT ${word}`)).toBe("*0\r\n");
    },
  );
});

test("a handler that fails by a bug is answered, logged with its stack, and leaves no half reply", () => {
  const server = new TestServer();
  const client = server.connect();
  client.say("MSET a 1 b 2");
  const { lookup } = server.keyspace;
  server.keyspace.lookup = (database, key) => {
    if (key === "b") throw new Error("a bug");
    return lookup.call(server.keyspace, database, key);
  };
  expect(client.say("MGET a b")).toBe("-ERR internal error, see the server's log\r\n");
  expect(server.logged.at(-1)).toMatch(/command mget failed: Error: a bug\s+at /);
});

test("an HTTP request ends the connection without a word", () => {
  for (const word of ["POST", "Host:", "post"]) {
    const client = connect();
    expect(client.run(word, "/")).toBe("");
    expect(client.isDestroyed).toBe(true);
  }
});
