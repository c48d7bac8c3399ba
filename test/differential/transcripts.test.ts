/**
 * What a real redis-server answered, replayed on this server. Needs no Redis; where there is one, the transcripts are
 * replayed on it too, which shows that they are what record.test.ts would write today.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { startOurs } from "./ours.js";
import { startRedis } from "./redis.js";
import { difference, Session, type Target } from "./runner.js";
import { digest, readTranscripts, transcriptFiles } from "./transcripts.js";

/** Every command a transcript must have visited: all that Redis 7.0 knows of those we promise. */
const COMMANDS = `
  SETBIT GETBIT BITCOUNT BITPOS BITOP BITFIELD BITFIELD_RO GET SET STRLEN GETRANGE MGET MSET SETRANGE APPEND GETDEL GETEX
  SETEX PSETEX SETNX GETSET MSETNX SUBSTR INCR DECR INCRBY DECRBY INCRBYFLOAT DEL UNLINK EXISTS TYPE KEYS SCAN RENAME RENAMENX
  DBSIZE RANDOMKEY TOUCH EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL PTTL EXPIRETIME PEXPIRETIME PERSIST FLUSHDB FLUSHALL
  SELECT MOVE SWAPDB COPY MULTI EXEC DISCARD WATCH UNWATCH PING ECHO QUIT RESET AUTH HELLO CLIENT COMMAND INFO CONFIG
  SAVE BGSAVE LASTSAVE SHUTDOWN TIME OBJECT MEMORY DUMP RESTORE DEBUG
`;

sayRedisMissing("the transcripts replayed on a live redis-server");

describe.each([
  { name: "this server", start: startOurs, skip: false },
  { name: "redis-server", start: startRedis, skip: redisMissing !== undefined },
])("$name answers as in the transcripts", ({ start, skip }) => {
  let target: Target;
  let session: Session;

  beforeAll(async () => {
    if (skip) return;
    target = await start();
    session = await Session.open(target);
  });

  afterAll(async () => {
    session?.close();
    await target?.stop();
  });

  for (const file of transcriptFiles()) {
    describe.skipIf(skip)(file, () => {
      for (const { name, steps, outcomes } of readTranscripts(file)) {
        test(name, async () => {
          const actual = await session.run(steps);
          expect(difference(steps, outcomes, actual.map(digest))).toBeUndefined();
        });
      }
    });
  }
});

test("the transcripts visit every command", () => {
  const visited = new Set<string>();
  for (const { steps } of transcriptFiles().flatMap(readTranscripts)) {
    for (const step of steps) {
      if (step.kind === "quit") visited.add("QUIT");
      if (step.kind === "call" && typeof step.argv[0] === "string") visited.add(step.argv[0].toUpperCase());
    }
  }
  const missing = COMMANDS.trim()
    .split(/\s+/)
    .filter((name) => !visited.has(name));
  expect(missing).toEqual([]);
});
