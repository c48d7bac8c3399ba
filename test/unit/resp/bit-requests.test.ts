/** Requests read in runs are those that the request parser reads, and none that it would refuse. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RUN_REQUESTS_MAX } from "../../../src/config.js";
import { BitRequests, READ_BIT } from "../../../src/resp/bit-requests.js";
import { RequestParser } from "../../../src/resp/request-parser.js";

const request = (...args: string[]): string =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`;

interface Read {
  args: string[];
  end: number;
}

/** What is read of the bytes from `start` on, each request as its arguments. */
function read(text: string, max = RUN_REQUESTS_MAX, start = 0): { list: Read[]; isTransaction: boolean } {
  const bytes = Buffer.from(text, "latin1");
  const requests = new BitRequests();
  requests.read(bytes, start, bytes.length, max);
  const list: Read[] = [];
  for (let i = 0; i < requests.length; i++) {
    const key = bytes.toString("latin1", requests.keyStarts[i], requests.keyEnds[i]);
    const bit = requests.bits[i] as number;
    const args =
      bit === READ_BIT
        ? ["getbit", key, `${requests.offsets[i]}`]
        : ["setbit", key, `${requests.offsets[i]}`, `${bit}`];
    list.push({ args, end: requests.ends[i] as number });
  }
  return { list, isTransaction: requests.isTransaction };
}

const args = (text: string, max?: number): string[] => read(text, max).list.map((each) => each.args.join(" "));

describe("requests that are read", () => {
  test("GETBIT and SETBIT in any case, up to the first that is something else", () => {
    const bytes =
      request("GETBIT", "a", "0") +
      request("setbit", "k".repeat(99), "4294967295", "1") +
      request("SetBit", "a\r\n", "17", "0") +
      request("GET", "a") +
      request("GETBIT", "a", "1");
    expect(args(bytes)).toEqual(["getbit a 0", `setbit ${"k".repeat(99)} 4294967295 1`, "setbit a\r\n 17 0"]);
  });

  test("no more than were asked for", () => {
    expect(args(request("GETBIT", "a", "5").repeat(100), 3)).toHaveLength(3);
    expect(args(request("GETBIT", "a", "5").repeat(100))).toHaveLength(RUN_REQUESTS_MAX);
  });

  test("a transaction of them, whole", () => {
    const inside = request("SETBIT", "a", "1", "1") + request("GETBIT", "b", "2");
    const whole = request("MULTI") + inside + request("EXEC");
    const { list, isTransaction } = read(whole + request("GETBIT", "c", "3"), 1);
    expect(isTransaction).toBe(true);
    expect(list.map((each) => each.args.join(" "))).toEqual(["setbit a 1 1", "getbit b 2"]);
    expect(list.at(-1)?.end).toBe(whole.length);
  });
});

describe("requests that are left to the parser", () => {
  const setbit = request("SETBIT", "a", "10", "1");
  test.each([
    ["an unknown command", request("HETBIT", "a", "1")],
    ["another command of six letters", request("GETDEL", "a", "1")],
    ["SETBIT without a bit", request("SETBIT", "a", "1")],
    ["GETBIT with one", request("GETBIT", "a", "1", "1")],
    ["an empty key", request("GETBIT", "", "1")],
    ["a long key", request("GETBIT", "k".repeat(100), "1")],
    ["an offset that is too large", request("GETBIT", "a", "4294967296")],
    ["an offset of too many digits", request("GETBIT", "a", "00000000001")],
    ["an offset with a leading zero", request("GETBIT", "a", "01")],
    ["an offset with a sign", request("GETBIT", "a", "-1")],
    ["an offset that is no number", request("GETBIT", "a", "1x")],
    ["no offset", request("GETBIT", "a", "")],
    ["a bit that is none", request("SETBIT", "a", "1", "2")],
    ["a bit of two digits", request("SETBIT", "a", "1", "01")],
    ["an inline request", "GETBIT a 1\r\n"],
    ["a header with a leading zero", "*3\r\n$6\r\nGETBIT\r\n$01\r\na\r\n$1\r\n1\r\n"],
    ["a key's length that is no digit", "*3\r\n$6\r\nGETBIT\r\n$:\r\n0123456789\r\n$1\r\n1\r\n"],
    ["an offset's length that is no digit", "*3\r\n$6\r\nGETBIT\r\n$1\r\na\r\n$:\r\n1234567890\r\n"],
    ["a length below the digits", "*3\r\n$6\r\nGETBIT\r\n$/\r\na\r\n$1\r\n1\r\n"],
    ["a transaction without end", request("MULTI") + setbit],
    ["a transaction of nothing", request("MULTI") + request("EXEC")],
    ["a transaction with another command", request("MULTI") + setbit + request("GET", "a") + request("EXEC")],
    ["a transaction that is dropped", request("MULTI") + setbit + request("DISCARD")],
    ["a transaction of too many", request("MULTI") + setbit.repeat(RUN_REQUESTS_MAX + 1) + request("EXEC")],
  ])("%s", (_name, bytes) => {
    expect(args(bytes)).toEqual([]);
  });

  test("what has not arrived whole", () => {
    const whole = request("MULTI") + setbit + request("GETBIT", "k", "4294967295") + request("EXEC");
    for (let end = 0; end < whole.length; end++) expect(args(whole.slice(0, end))).toEqual([]);
    for (let end = 0; end < setbit.length; end++) expect(args(setbit.slice(0, end))).toEqual([]);
  });
});

test("whatever bytes they are read from, the parser reads the same", () => {
  const bitRequest = fc.oneof(
    fc.tuple(fc.constantFrom("GETBIT", "getbit", "gEtBiT"), fc.string({ minLength: 1, maxLength: 12 }), offset()),
    fc.tuple(
      fc.constantFrom("SETBIT", "setbit"),
      fc.string({ minLength: 1, maxLength: 12 }),
      offset(),
      fc.constantFrom("0", "1", "0", "1", "2"),
    ),
  );
  const requests = fc.array(bitRequest, { minLength: 1, maxLength: 5 });
  const frame = fc.constantFrom(["", ""], [request("MULTI"), request("EXEC")]);
  const mutations = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 1 });
  let compared = 0;
  fc.assert(
    fc.property(requests, frame, mutations, (list, [before, after], changes) => {
      const bytes = Buffer.from(before + list.map((each) => request(...each.map(latin1))).join("") + after, "latin1");
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      const { list: got, isTransaction } = read(bytes.toString("latin1"));
      const parser = new RequestParser();
      parser.feed(bytes);
      const wanted = [
        ...(isTransaction && got.length > 0 ? ["MULTI"] : []),
        ...got.map((each) => each.args.join(" ")),
        ...(isTransaction && got.length > 0 ? ["EXEC"] : []),
      ];
      for (const expected of wanted) {
        const argv = parser.next();
        if (argv === undefined) throw new Error(`the parser finds no ${expected}`);
        const parsed = Array.from({ length: argv.length }, (_, i) => argv.string(i));
        if (parsed.length > 1) parsed[0] = (parsed[0] as string).toLowerCase();
        expect(parsed.join(" ")).toBe(expected);
      }
      if (got.length > 0) expect(bytes.length - parser.bufferedBytes).toBe(got.at(-1)?.end);
      compared += got.length;
    }),
    { numRuns: 2000 },
  );
  expect(compared).toBeGreaterThan(1000);
});

function offset() {
  return fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 2000 }).map(String) },
    { weight: 4, arbitrary: fc.integer({ min: 2 ** 32 - 9, max: 2 ** 32 + 1 }).map(String) },
    { weight: 1, arbitrary: fc.constantFrom("", "00", "-1", "x") },
  );
}

/** Characters of one byte: what is longer would be cut. */
function latin1(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}
