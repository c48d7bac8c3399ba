/** CLIENT's subcommands that make other clients wait, go on, or end. On this server and, where there is one, on a redis-server. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startOurs } from "../differential/ours.js";
import { startRedis } from "../differential/redis.js";
import type { Target } from "../differential/runner.js";
import { START_MS } from "../differential/steps.js";
import { conversation, converse } from "../support/conversation.js";
import { encodeRequest, RawClient } from "../support/raw-client.js";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { eventually } from "../support/server-process.js";

const PAUSE_MS = 200;
/** Longer than any test: ended by CLIENT UNPAUSE, or by the next pause's end. */
const LONG_MS = "1000000";

sayRedisMissing("CLIENT PAUSE, UNBLOCK and KILL compared with a live redis-server");

describe.each([
  ["this server", startOurs, false],
  ["redis-server", startRedis, redisMissing !== undefined],
] as const)("%s", (_name, start, isMissing) => {
  describe.skipIf(isMissing)("lets clients wait and ends them", () => {
    let target: Target;
    let admin: RawClient;
    let client: RawClient;

    beforeAll(async () => {
      target = await start();
    });

    afterAll(() => target?.stop());

    beforeEach(async () => {
      admin = await RawClient.connect(target.port);
      client = await RawClient.connect(target.port);
      // A test that failed in its pause must not hold the next one.
      await admin.call("CLIENT", "UNPAUSE");
      await admin.call("FLUSHALL");
      await client.call("PING");
    });

    afterEach(() => {
      admin.close();
      client.close();
    });

    const send = (...requests: string[]) =>
      client.send(Buffer.concat(requests.map((request) => encodeRequest(request.split(" ")))));

    /** What one connection has sent may be read after what another one sends later: CLIENT LIST is asked until it shows these flags. */
    const untilListed = (flags: RegExp) =>
      eventually(`CLIENT LIST shows ${flags}`, async () => flags.test(await admin.call("CLIENT", "LIST")));

    test("a pause of writes lets them wait, with all behind them, and nobody who reads", async () => {
      expect(await admin.call("CLIENT", "PAUSE", LONG_MS, "WRITE")).toBe("+OK\r\n");
      expect(await client.call("GET", "k")).toBe("$-1\r\n");
      send("SET k 1", "GET k", "PING");
      await untilListed(/flags=b /);
      expect(await admin.call("GET", "k")).toBe("$-1\r\n");
      expect(client.unread).toBe(0);
      expect(await admin.call("CLIENT", "UNPAUSE")).toBe("+OK\r\n");
      expect(await client.replies(3)).toEqual(["+OK\r\n", "$1\r\n1\r\n", "+PONG\r\n"]);
    });

    test.each([
      ["PUBLISH", ["PUBLISH c m"], [":0\r\n"]],
      ["a transaction that writes", ["MULTI", "SET k 1"], ["+OK\r\n", "+QUEUED\r\n"]],
      ["BITFIELD, though it only reads", ["BITFIELD k GET u8 0"], ["*1\r\n:0\r\n"]],
    ])("it holds %s too", async (_what, requests, replies) => {
      await admin.call("CLIENT", "PAUSE", LONG_MS, "WRITE");
      const last = requests.at(-1) as string;
      for (const request of requests.slice(0, -1)) await client.call(...request.split(" "));
      send(last);
      await untilListed(/flags=x?b /);
      await admin.call("CLIENT", "UNPAUSE");
      expect(await client.replies(1)).toEqual(replies.slice(-1));
    });

    test("a transaction that reads is not held by it", async () => {
      await admin.call("CLIENT", "PAUSE", LONG_MS, "WRITE");
      expect(await client.pipeline([["MULTI"], ["GET", "k"], ["EXEC"]])).toEqual([
        "+OK\r\n",
        "+QUEUED\r\n",
        "*1\r\n$-1\r\n",
      ]);
      await admin.call("CLIENT", "UNPAUSE");
    });

    test("nothing expires in a pause, and nobody sees what should have", async () => {
      await admin.call("SET", "e", "1", "PX", "100");
      await admin.call("CLIENT", "PAUSE", LONG_MS, "WRITE");
      target.setClock(START_MS + 200);
      expect(await client.call("GET", "e")).toBe("$-1\r\n");
      expect(await client.call("KEYS", "*")).toBe("*0\r\n");
      expect(await client.call("DBSIZE")).toBe(":1\r\n");
      await admin.call("CLIENT", "UNPAUSE");
      expect(await client.call("GET", "e")).toBe("$-1\r\n");
      expect(await client.call("DBSIZE")).toBe(":0\r\n");
      target.setClock(START_MS);
    });

    test("CLIENT REPLY SKIP skips the reply of what had to wait", async () => {
      await admin.call("CLIENT", "PAUSE", LONG_MS, "WRITE");
      send("CLIENT REPLY SKIP", "SET k 1", "GET k");
      await untilListed(/flags=b /);
      await admin.call("CLIENT", "UNPAUSE");
      expect(await client.replies(1)).toEqual(["$1\r\n1\r\n"]);
    });

    test("who leaves in a pause has not written", async () => {
      await admin.call("CLIENT", "PAUSE", LONG_MS, "WRITE");
      send("SET left 1");
      await untilListed(/flags=b /);
      client.close();
      await eventually("it is gone", async () => !/flags=b /.test(await admin.call("CLIENT", "LIST")));
      await admin.call("CLIENT", "UNPAUSE");
      expect(await admin.call("EXISTS", "left")).toBe(":0\r\n");
    });

    test.each([
      [[], ":0\r\n"],
      [["TIMEOUT"], ":0\r\n"],
      [["ERROR"], "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"],
    ])("CLIENT UNBLOCK %j ends a WAIT", async (words, reply) => {
      const id = (await client.call("CLIENT", "ID")).slice(1, -2);
      expect(await admin.call("CLIENT", "UNBLOCK", id, ...words)).toBe(":0\r\n");
      send("WAIT 1 0", "PING");
      await untilListed(/flags=b /);
      expect(await admin.call("CLIENT", "UNBLOCK", id, ...words)).toBe(":1\r\n");
      expect(await client.replies(2)).toEqual([reply, "+PONG\r\n"]);
    });

    test("CLIENT KILL's filters are met together, the last of a kind counts, and one's own connection is spared", async () => {
      const [own = "", other = ""] = await Promise.all(
        [admin, client].map(async (each) => (await each.call("CLIENT", "ID")).slice(1, -2)),
      );
      expect(await admin.call("CLIENT", "KILL", "ID", own)).toBe(":0\r\n");
      expect(await admin.call("CLIENT", "KILL", "ID", other, "TYPE", "pubsub")).toBe(":0\r\n");
      expect(await admin.call("CLIENT", "KILL", "ID", other, "ID", own)).toBe(":0\r\n");
      const address = /laddr=(\S+)/.exec(await admin.call("CLIENT", "INFO"))?.[1] as string;
      const filters = ["LADDR", address, "USER", "default", "TYPE", "normal", "ID", own, "ID", other];
      expect(await admin.call("CLIENT", "KILL", ...filters)).toBe(":1\r\n");
      await client.closed;
    });

    const SYNTAX = "-ERR syntax error";
    test("wrong arguments, and what there is of tracking", async () => {
      const text = `
        a> CLIENT PAUSE x; CLIENT PAUSE -1; CLIENT PAUSE x foo; CLIENT PAUSE 1 foo; CLIENT PAUSE 0 ALL x; CLIENT UNPAUSE x
           -ERR timeout is not an integer or out of range
           -ERR timeout is negative
           -ERR CLIENT PAUSE mode must be WRITE or ALL
           -ERR CLIENT PAUSE mode must be WRITE or ALL
           -ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.
           -ERR wrong number of arguments for 'client|unpause' command
        a> CLIENT UNBLOCK x; CLIENT UNBLOCK x foo; CLIENT UNBLOCK 99999; CLIENT UNBLOCK 1 ERROR x
           -ERR value is not an integer or out of range
           -ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR
           :0
           -ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.
        a> CLIENT KILL TYPE foo; CLIENT KILL SKIPME foo; CLIENT KILL ID 1 ID; CLIENT KILL TYPE replica
           -ERR Unknown client type 'foo'
           ${SYNTAX}
           ${SYNTAX}
           :0
        a> CLIENT LIST TYPE pubsub; CLIENT LIST TYPE foo; CLIENT LIST ID
           ""
           -ERR Unknown client type 'foo'
           ${SYNTAX}
        a> CLIENT TRACKING OFF; CLIENT TRACKING x; CLIENT GETREDIR; CLIENT CACHING YES; CLIENT TRACKINGINFO
           +OK
           ${SYNTAX}
           :-1
           -ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled
           ["flags" ["off"] "redirect" :-1 "prefixes" []]
        a> HELLO 3; CLIENT TRACKINGINFO
           (hello)
           {"flags" ~["off"] "redirect" :-1 "prefixes" []}
      `;
      expect(await converse(target.port, text)).toBe(conversation(text));
    });
  });
});

describe("what Redis 7.0 does not have", () => {
  let target: Target;

  beforeEach(async () => {
    target = await startOurs();
  });

  afterEach(() => target?.stop());

  test("CLIENT TRACKING ON is refused, and CLIENT KILL MAXAGE and NO-TOUCH check their arguments", async () => {
    const text = `
      a> CLIENT TRACKING ON; CLIENT PAUSE 9223372036854775807
         -ERR client tracking is not supported by this server
         -ERR timeout is out of range
      a> CLIENT KILL MAXAGE x; CLIENT KILL MAXAGE 0; CLIENT KILL MAXAGE 1000; CLIENT NO-TOUCH x; CLIENT NO-TOUCH ON; CLIENT NO-TOUCH OFF
         -ERR maxage is not an integer or out of range
         -ERR maxage should be greater than 0
         :0
         -ERR syntax error
         +OK
         +OK
    `;
    expect(await converse(target.port, text)).toBe(conversation(text));
  });

  test("CLIENT KILL MAXAGE ends those that are so old", async () => {
    const old = await RawClient.connect(target.port);
    target.setClock(START_MS + 10_000);
    await old.call("PING");
    const admin = await RawClient.connect(target.port);
    expect(await admin.call("CLIENT", "KILL", "MAXAGE", "11", "SKIPME", "no")).toBe(":0\r\n");
    expect(await admin.call("CLIENT", "KILL", "MAXAGE", "10", "SKIPME", "no")).toBe(":1\r\n");
    await old.closed;
    admin.close();
  });

  test("reading with NO-TOUCH is no use of a key, but TOUCH is", async () => {
    const client = await RawClient.connect(target.port);
    await client.call("SET", "k", "1");
    target.setClock(START_MS + 30_000);
    await client.call("CLIENT", "NO-TOUCH", "ON");
    await client.pipeline([
      ["GET", "k"],
      ["BITCOUNT", "k"],
      ["GETBIT", "k", "1"],
    ]);
    expect(await client.call("OBJECT", "IDLETIME", "k")).toBe(":30\r\n");
    await client.call("TOUCH", "k");
    expect(await client.call("OBJECT", "IDLETIME", "k")).toBe(":0\r\n");
    client.close();
  });
});

/** Under redis-server the clock stands still in these tests, and with it a pause. */
describe("a pause that ends by itself", () => {
  let target: Target;
  let admin: RawClient;
  let client: RawClient;

  beforeAll(async () => {
    target = await startOurs();
    admin = await RawClient.connect(target.port);
    client = await RawClient.connect(target.port);
  });

  afterAll(() => target?.stop());

  test("of all holds everything, also what would end it", async () => {
    const began = performance.now();
    expect(await admin.call("CLIENT", "PAUSE", String(PAUSE_MS))).toBe("+OK\r\n");
    const replies = client.pipeline([
      ["GET", "k"],
      ["SET", "k", "1"],
      ["DEL", "k"],
    ]);
    expect(await admin.call("CLIENT", "UNPAUSE")).toBe("+OK\r\n");
    expect(performance.now() - began).toBeGreaterThan(PAUSE_MS - 2);
    expect(await replies).toEqual(["$-1\r\n", "+OK\r\n", ":1\r\n"]);
  });

  test("lasts, of two, until the later end, and is of the stricter kind", async () => {
    const began = performance.now();
    await admin.pipeline([["CLIENT", "PAUSE", String(PAUSE_MS), "WRITE"]]);
    await admin.pipeline([["CLIENT", "PAUSE", "1", "ALL"]]);
    expect(await client.call("GET", "k")).toBe("$-1\r\n");
    expect(performance.now() - began).toBeGreaterThan(PAUSE_MS - 2);
  });
});
