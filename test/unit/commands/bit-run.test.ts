/** Runs of GETBIT and SETBIT: whatever program they stand in, replies, figures and what goes to the disk are those of one by one. */
import { describe, expect, test } from "vitest";
import { runBits } from "../../../src/commands/bitmaps/bit-run.js";
import { INTERNAL_ERROR } from "../../../src/commands/call.js";
import type { Client } from "../../../src/commands/client.js";
import { execute } from "../../../src/commands/execute.js";
import { COMMAND_TABLE } from "../../../src/commands/table.js";
import { SMALL_MEMBERS_MAX } from "../../../src/config.js";
import { Reply } from "../../../src/resp/reply.js";
import { RequestParser } from "../../../src/resp/request-parser.js";
import { type Dice, dice } from "../../support/random.js";
import { encodeRequest } from "../../support/raw-client.js";
import { TestServer } from "./harness.js";

const PROGRAMS = 60;
const PIPELINES = 12;
const KEYS = ["a", "b", "c", "large", "native", "never"];

/** A client of a server of its own, with its replies to pipelines. */
class Side {
  readonly server: TestServer;
  readonly #client: Client;
  readonly #inRuns: boolean;
  readonly #parser = new RequestParser();
  readonly #reply = new Reply();
  /** Turns of the loop in which bits were run. */
  runs = 0;

  constructor(inRuns: boolean, commands = COMMAND_TABLE) {
    this.server = Object.assign(new TestServer(), { commands });
    this.#inRuns = inRuns;
    this.#client = this.server.connect().client;
  }

  /** Runs what is in the bytes, and what came before and was not whole. */
  pipe(bytes: Buffer): string {
    this.server.keyspace.tick();
    this.#parser.feed(bytes);
    for (;;) {
      if (this.#inRuns && runBits(this.#client, this.#parser, this.#reply)) {
        this.runs++;
        continue;
      }
      const argv = this.#parser.next();
      if (argv === undefined) break;
      execute(this.#client, argv, this.#reply);
    }
    this.#parser.keep();
    return this.#reply.bytes().toString("latin1");
  }

  async save(): Promise<void> {
    await this.server.saver.save();
  }

  get figures() {
    const { byCommand, commands, keyspaceHits, keyspaceMisses, errorReplies } = this.server.stats;
    const { changes, expiredKeys } = this.server.keyspace;
    const calls = byCommand.map(([name, { calls, rejected }]) => `${name} ${calls} ${rejected}`).sort();
    return { calls, commands, keyspaceHits, keyspaceMisses, errorReplies, changes, expiredKeys };
  }

  /** What was committed, to the word. */
  get batches(): string[] {
    return this.server.storage.batches.map(({ words }) => Buffer.from(words.slice().buffer).toString("hex"));
  }
}

function randomRequest({ int, pick }: Dice): string[][] {
  const offset = () => String(pick([int(0, 40), int(0, 3000), int(0, 2 ** 32 - 1)]));
  const bits = () =>
    pick([
      ["GETBIT", pick(KEYS), offset()],
      ["setbit", pick(KEYS), offset(), String(int(0, 1))],
    ]);
  switch (int(0, 14)) {
    case 0:
      return [["DEL", pick(KEYS)]];
    case 1:
      return [["PEXPIRE", pick(KEYS), pick(["1", "50", "100000"])]];
    case 2:
      return [["BITOP", pick(["AND", "OR"]), "native", pick(KEYS), pick(KEYS)]];
    case 3:
      return [
        pick([
          ["SETBIT", "a", "x", "1"],
          ["SETBIT", "a", "1", "2"],
          ["GETBIT", "a"],
          ["GETBIT", "a", "-1"],
        ]),
      ];
    case 4:
      return [pick([["WATCH", pick(KEYS)], ["UNWATCH"], ["SELECT", pick(["0", "1"])], ["CLIENT", "REPLY", "SKIP"]])];
    case 5:
    case 6:
      return [["MULTI"], ...Array.from({ length: int(0, 5) }, bits), pick([["EXEC"], ["EXEC"], ["DISCARD"]])];
    case 7:
      return [
        ["BITCOUNT", pick(KEYS)],
        ["STRLEN", pick(KEYS)],
      ];
    default:
      return Array.from({ length: int(1, 90) }, bits);
  }
}

describe("random programs", () => {
  test("give the same in runs and one by one", async () => {
    const random = dice("bit runs");
    let runs = 0;
    for (let program = 0; program < PROGRAMS; program++) {
      const sides = [new Side(true), new Side(false)] as const;
      const large = Array.from({ length: SMALL_MEMBERS_MAX + 40 }, (_, i) => ["SETBIT", "large", String(i * 7), "1"]);
      let held = Buffer.concat(large.map((each) => encodeRequest(each)));
      for (let pipeline = 0; pipeline < PIPELINES; pipeline++) {
        const requests = Array.from({ length: random.int(1, 6) }, () => randomRequest(random)).flat();
        held = Buffer.concat([held, ...requests.map((each) => encodeRequest(each))]);
        // The last piece comes with the next pipeline, cut anywhere.
        const cut = pipeline === PIPELINES - 1 ? held.length : random.int(0, held.length);
        const [inRuns, oneByOne] = sides.map((side) => side.pipe(Buffer.from(held.subarray(0, cut))));
        expect(inRuns).toBe(oneByOne);
        held = held.subarray(cut);
        for (const { server } of sides) server.clock.advance(pipeline % 3 === 0 ? 60 : 0);
        if (pipeline % 4 === 3) for (const side of sides) await side.save();
      }
      for (const side of sides) await side.save();
      expect(sides[0].figures).toEqual(sides[1].figures);
      expect(sides[0].batches).toEqual(sides[1].batches);
      runs += sides[0].runs;
    }
    expect(runs).toBeGreaterThan(PROGRAMS);
  });
});

test("a value that has to be made or copied before a bit of it can be had is not for a run", () => {
  const side = new Side(true);
  const bits = (key: string, from: number) =>
    Buffer.concat(Array.from({ length: 2000 }, (_, i) => encodeRequest(["SETBIT", key, String(from + i * 1000), "1"])));
  side.pipe(Buffer.concat([bits("x", 0), bits("y", 500), encodeRequest(["BITOP", "OR", "z", "x", "y"])]));
  const { runs } = side;
  expect(runs).toBeGreaterThan(0);
  expect(side.pipe(encodeRequest(["GETBIT", "z", "500"]))).toBe(":1\r\n");
  expect(side.pipe(encodeRequest(["SETBIT", "x", "1", "1"]))).toBe(":0\r\n");
  expect(side.runs).toBe(runs);
  expect(side.pipe(encodeRequest(["GETBIT", "x", "1"]))).toBe(":1\r\n");
  expect(side.runs).toBe(runs + 1);
});

test("a request that fails has an error of its own, and the others their replies", () => {
  const side = new Side(true);
  const bits = ["0", "1", "2"].map((offset) => encodeRequest(["SETBIT", "k", offset, "1"]));
  side.pipe(Buffer.concat(bits));
  const { keyspace } = side.server;
  const { setBitAt } = keyspace;
  keyspace.setBitAt = (database, number, offset, bit) => {
    if (offset === 1) throw new RangeError("Array buffer allocation failed");
    return setBitAt.call(keyspace, database, number, offset, bit);
  };
  expect(side.pipe(Buffer.concat(bits))).toBe(`:1\r\n-${INTERNAL_ERROR}\r\n:1\r\n`);
  expect(side.server.stats.of("setbit").failed).toBe(1);
  expect(side.server.logged.join("")).toContain("command setbit failed: RangeError: Array buffer allocation failed");
});

describe("a client that is not plain", () => {
  const bits = Buffer.concat([encodeRequest(["SETBIT", "k", "1", "1"]), encodeRequest(["GETBIT", "k", "1"])]);

  test("has its requests queued in a transaction", () => {
    const side = new Side(true);
    side.pipe(bits);
    expect(side.pipe(Buffer.concat([encodeRequest(["MULTI"]), bits]))).toBe("+OK\r\n+QUEUED\r\n+QUEUED\r\n");
  });

  test("is refused without its password", () => {
    const side = new Side(true);
    side.pipe(bits);
    side.server.users.requirepass = "secret";
    const other = side.server.connect();
    expect(other.client.mustAuthenticate).toBe(true);
    const parser = new RequestParser();
    parser.feed(bits);
    expect(runBits(other.client, parser, new Reply())).toBe(false);
  });

  test("finds commands by the names they have", () => {
    for (const to of ["", "other"]) {
      const side = new Side(true, COMMAND_TABLE.renamed([{ from: "setbit", to }]));
      side.pipe(encodeRequest(["SET", "k", "v"]));
      expect(side.pipe(bits)).toBe("-ERR unknown command 'SETBIT', with args beginning with: 'k' '1' '1' \r\n:1\r\n");
    }
  });

  test("may have its transaction refused by WATCH", () => {
    const side = new Side(true);
    side.pipe(bits);
    side.pipe(encodeRequest(["WATCH", "k"]));
    side.server.connect().run("SETBIT", "k", "9", "1");
    expect(side.pipe(Buffer.concat([encodeRequest(["MULTI"]), bits, encodeRequest(["EXEC"])]))).toBe(
      "+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n",
    );
  });
});
