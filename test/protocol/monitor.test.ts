/**
 * MONITOR in conversations, which run on this server and, where there is one, on a redis-server. Times and addresses are replaced.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startOurs } from "../differential/ours.js";
import { startRedis } from "../differential/redis.js";
import type { Target } from "../differential/runner.js";
import { START_MS } from "../differential/steps.js";
import { conversation, converse } from "../support/conversation.js";
import { encodeRequest, RawClient } from "../support/raw-client.js";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";

const CONVERSATIONS: Readonly<Record<string, string>> = {
  "all that runs is shown, in the database in which it was run": String.raw`
    m> MONITOR
       +OK
    a> GET k
       nil
       m: +TIME [0 ADDR] "GET" "k"
    a> SELECT 5
       +OK
       m: +TIME [5 ADDR] "SELECT" "5"
    a> SET "k\"\\\u0001\u00ff\u0007\b\n\r\t" ""; DBSIZE
       +OK
       :1
       m: +TIME [5 ADDR] "SET" "k\"\\\x01\xff\a\b\n\r\t" ""
       m: +TIME [5 ADDR] "DBSIZE"
    a> GET; GETBIT k x
       -ERR wrong number of arguments for 'get' command
       -ERR bit offset is not an integer or out of range
       m: +TIME [5 ADDR] "GETBIT" "k" "x"
    a> RESET
       +RESET
       m: +TIME [0 ADDR] "RESET"
  `,
  "a transaction is shown as it is run": `
    m> MONITOR
       +OK
    a> MULTI; SET a 1; CONFIG GET nope; DEL a; EXEC
       +OK
       +QUEUED
       +QUEUED
       +QUEUED
       [+OK [] :1]
       m: +TIME [0 ADDR] "MULTI"
       m: +TIME [0 ADDR] "SET" "a" "1"
       m: +TIME [0 ADDR] "DEL" "a"
       m: +TIME [0 ADDR] "EXEC"
    a> MULTI; SET a 1; DISCARD
       +OK
       +QUEUED
       +OK
       m: +TIME [0 ADDR] "MULTI"
       m: +TIME [0 ADDR] "DISCARD"
    a> MULTI; GET; EXEC
       +OK
       -ERR wrong number of arguments for 'get' command
       -EXECABORT Transaction discarded because of previous errors.
       m: +TIME [0 ADDR] "MULTI"
       m: +TIME [0 ADDR] "EXEC"
  `,
  "passwords are not shown, nor what administrators do": `
    m> MONITOR
       +OK
    a> AUTH wrong; AUTH default any; HELLO 3 AUTH default any SETNAME me; HELLO 2 SETNAME you
       -ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?
       +OK
       (hello)
       (hello)
       m: +TIME [0 ADDR] "AUTH" "(redacted)"
       m: +TIME [0 ADDR] "AUTH" "(redacted)" "(redacted)"
       m: +TIME [0 ADDR] "HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "me"
       m: +TIME [0 ADDR] "HELLO" "2" "SETNAME" "you"
    a> CONFIG GET nope; CLIENT LIST TYPE master; CLIENT KILL ID 999999; SAVE; CLIENT GETNAME
       []
       ""
       :0
       +OK
       "you"
       m: +TIME [0 ADDR] "CLIENT" "GETNAME"
  `,
  "a monitor may not use keys": `
    m> MONITOR
       +OK
    m> GET k; SET k v; PUBLISH c m; TIME x; ECHO hi
       -ERR Replica can't interact with the keyspace
       -ERR Replica can't interact with the keyspace
       -ERR Replica can't interact with the keyspace
       -ERR wrong number of arguments for 'time' command
       "hi"
       +TIME [0 ADDR] "ECHO" "hi"
    m> SUBSCRIBE c
       ["subscribe" "c" :1]
       +TIME [0 ADDR] "SUBSCRIBE" "c"
    a> PUBLISH c m
       :1
       m: ["message" "c" "m"]
       m: +TIME [0 ADDR] "PUBLISH" "c" "m"
    m> UNSUBSCRIBE
       ["unsubscribe" "c" :0]
       +TIME [0 ADDR] "UNSUBSCRIBE"
    m> MULTI; GET k; EXEC
       +OK
       +TIME [0 ADDR] "MULTI"
       -ERR Replica can't interact with the keyspace
       -EXECABORT Transaction discarded because of previous errors.
       +TIME [0 ADDR] "EXEC"
  `,
  "it is one once, until RESET": `
    m> MONITOR; MONITOR
       +OK
    a> ECHO hi
       "hi"
       m: +TIME [0 ADDR] "ECHO" "hi"
    m> RESET
       +RESET
    a> ECHO hi
       "hi"
    m> GET k
       nil
  `,
  "it is shown what it does itself behind the reply, in RESP3 as in RESP2": `
    m> HELLO 3; MONITOR
       (hello)
       +OK
    m> ECHO hi
       "hi"
       +TIME [0 ADDR] "ECHO" "hi"
    a> ECHO hi
       "hi"
       m: +TIME [0 ADDR] "ECHO" "hi"
    m> QUIT
       +OK
       closed
  `,
  "CLIENT REPLY OFF keeps what is shown back": `
    m> CLIENT REPLY OFF; MONITOR; ECHO hi; CLIENT REPLY ON
       +OK
       +TIME [0 ADDR] "CLIENT" "REPLY" "ON"
    a> ECHO hi; CLIENT REPLY SKIP; ECHO ho
       "hi"
       m: +TIME [0 ADDR] "ECHO" "hi"
       m: +TIME [0 ADDR] "CLIENT" "REPLY" "SKIP"
       m: +TIME [0 ADDR] "ECHO" "ho"
  `,
  "a transaction cannot make a monitor, nor can a subscriber of RESP2 be one": `
    m> MULTI; MONITOR; EXEC
       +OK
       +QUEUED
       [-ERR MONITOR isn't allowed for DENY BLOCKING client]
    s> SUBSCRIBE c; MONITOR
       ["subscribe" "c" :1]
       -ERR Can't execute 'monitor': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
    m> MONITOR x
       -ERR wrong number of arguments for 'monitor' command
  `,
};

function comparable(shown: string): string {
  return shown.replace(/^\+\d+\.\d{6} /, "+TIME ").replace(/127\.0\.0\.1:\d+/g, "ADDR");
}

sayRedisMissing("the conversations of monitors held with a live redis-server");

describe.each([
  ["this server", startOurs, false],
  ["redis-server", startRedis, redisMissing !== undefined],
] as const)("%s", (_name, start, isMissing) => {
  describe.skipIf(isMissing)("shows what its clients do", () => {
    let target: Target;

    beforeAll(async () => {
      target = await start();
    });

    afterAll(() => target?.stop());

    test.each(Object.entries(CONVERSATIONS))("%s", async (_sentence, text) => {
      expect(await converse(target.port, text, comparable)).toBe(conversation(text));
    });

    test("when it was, and who", async () => {
      const monitor = await RawClient.connect(target.port);
      await monitor.call("MONITOR");
      const client = await RawClient.connect(target.port);
      const address = /addr=(\S+)/.exec(await client.call("CLIENT", "INFO"))?.[1];
      const [shown = ""] = await monitor.replies(1);
      const [, seconds = "", fraction = ""] = /^\+(\d+)\.(\d{6}) \[0 (\S+)\] "CLIENT" "INFO"\r\n$/.exec(shown) ?? [];
      expect(shown).toContain(`[0 ${address}]`);
      expect(Number(seconds) * 1000 + Number(fraction) / 1000).toBe(START_MS);
      monitor.close();
      client.close();
    });
  });
});

test("of a request only so much is shown", async () => {
  const target = await startOurs();
  const monitor = await RawClient.connect(target.port);
  await monitor.call("MONITOR");
  const client = await RawClient.connect(target.port);
  client.send(encodeRequest(["SET", "k", Buffer.alloc(2 * 2 ** 20)]));
  const [shown = ""] = await monitor.replies(1);
  expect(shown).toMatch(/"SET" "k" "\.\.\. \(1 more arguments\)"\r\n$/);
  monitor.close();
  client.close();
  await target.stop();
});
