/**
 * The request parser: every case whole, byte by byte and cut at each place; then random requests, random cuts and
 * garbage.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ARGUMENTS_MAX, BULK_BYTES_MAX, INLINE_BYTES_MAX } from "../../../src/config.js";
import { ProtocolError } from "../../../src/errors.js";
import type { Argv } from "../../../src/resp/argv.js";
import {
  AUTHENTICATED_LIMITS,
  type RequestLimits,
  RequestParser,
  UNAUTHENTICATED_LIMITS,
} from "../../../src/resp/request-parser.js";

/** The requests in some bytes, and the error or the number of bytes they end with. */
interface Parsed {
  requests: string[][];
  error?: string;
  buffered?: number;
}

const strings = (argv: Argv): string[] => Array.from({ length: argv.length }, (_, i) => argv.string(i));

function parse(chunks: Iterable<Buffer>, limits: RequestLimits = AUTHENTICATED_LIMITS): Parsed {
  const parser = new RequestParser(limits);
  const requests: string[][] = [];
  for (const chunk of chunks) {
    // A copy that is spoilt after use shows whether the parser holds on to chunks.
    const used = Buffer.from(chunk);
    parser.feed(used);
    try {
      for (let argv = parser.next(); argv !== undefined; argv = parser.next()) requests.push(strings(argv));
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
      expect(() => parser.next()).toThrow(error as ProtocolError);
      parser.feed(Buffer.from("PING\r\n"));
      expect(() => parser.next()).toThrow(error as ProtocolError);
      expect(parser.bufferedBytes).toBe(0);
      return { requests, error: (error as ProtocolError).message };
    }
    used.fill(0x2a);
  }
  return { requests, buffered: parser.bufferedBytes };
}

function* inPieces(bytes: Buffer, pieceBytes: number): Generator<Buffer> {
  for (let i = 0; i < bytes.length; i += pieceBytes) yield bytes.subarray(i, i + pieceBytes);
}

/** `bytes` cut at the given places, in any order and number. */
function cutAt(bytes: Buffer, cuts: number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((place, i) => bytes.subarray(places[i], place));
}

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

function encode(args: (string | Uint8Array)[]): Buffer {
  const parts = args.flatMap((arg) => [`$${arg.length}\r\n`, arg, "\r\n"]);
  return Buffer.concat(
    [`*${args.length}\r\n`, ...parts].map((part) => (typeof part === "string" ? latin1(part) : part)),
  );
}

const PING = "*1\r\n$4\r\nPING\r\n";
const p = ["PING"];

const REQUESTS: [name: string, bytes: string, requests: string[][], buffered: number][] = [
  ["nothing", "", [], 0],
  ["a multibulk", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n", [["SET", "k", "\r\n"]], 0],
  ["several multibulks", PING + PING + PING, [p, p, p], 0],
  ["an empty bulk", "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", [["ECHO", ""]], 0],
  ["a bulk of three digits", `*1\r\n$123\r\n${"x".repeat(123)}\r\n`, [["x".repeat(123)]], 0],
  ["a bulk of ten bytes", `*1\r\n$10\r\n${"x".repeat(10)}\r\n${PING}`, [["x".repeat(10)], p], 0],
  ["bytes of all kinds", "*1\r\n$5\r\n\x00\xff*$\n\r\n", [["\x00\xff*$\n"]], 0],
  ["empty multibulks, which are skipped", `*0\r\n*-1\r\n*-77\r\n${PING}*0\r\n`, [p], 0],
  ["any two bytes after a bulk", `*2\r\n$4\r\nECHOxx$1\r\na\n*${PING}`, [["ECHO", "a"], p], 0],
  ["any byte after the CR of a header", `*1\rx$4\r$PING\r\n${PING}`, [p, p], 0],
  ["an inline request", "SET k  'a b'\r\n", [["SET", "k", "a b"]], 0],
  ["an inline request that ends at LF alone", "PING\nPING\n", [p, p], 0],
  ["an inline request with two CRs", "PING\r\r\n", [p], 0],
  ["an inline request with a NUL", "ECHO a\0b\r\n", [["ECHO", "a\0b"]], 0],
  ["blank lines, which are skipped", "\r\n\n \r\n\r\r\nPING\r\n\r\n", [p], 0],
  ["inline requests between multibulks", `PING\r\n${PING}PING\r\n${PING}`, [p, p, p, p], 0],
  ["an unfinished inline request", `${PING}PIN`, [p], 3],
  ["an unfinished multibulk header", `${PING}*1\r`, [p], 3],
  ["a multibulk without its arguments", `${PING}*1\r\n`, [p], 4],
  ["an unfinished bulk header", `${PING}*1\r\n$4\r`, [p], 7],
  ["an unfinished bulk", `${PING}*1\r\n$4\r\nPI`, [p], 10],
  ["a bulk without its line end", `${PING}*2\r\n$4\r\nECHO\r\n$2\r\nab\r`, [p], 21],
  ["the longest bulk, announced", `*1\r\n$${BULK_BYTES_MAX}\r\n`, [], 16],
  ["the most arguments, announced", `*${ARGUMENTS_MAX}\r\n`, [], 10],
  ["a bulk header that is wrong but unfinished", "*1\r\nPING", [], 8],
];

const ERRORS: [name: string, bytes: string, error: string][] = [
  ["unbalanced quotes", 'ECHO "a\r\n', "unbalanced quotes in request"],
  ["no count", "*\r\n", "invalid multibulk length"],
  ["a count that is no number", "*abc\r\n", "invalid multibulk length"],
  ["a count with a leading zero", "*01\r\n", "invalid multibulk length"],
  ["a count with a plus", "*+1\r\n", "invalid multibulk length"],
  ["a count of minus zero", "*-0\r\n", "invalid multibulk length"],
  ["a count with a space", "*1 \r\n", "invalid multibulk length"],
  ["a count that ends at LF alone", "*1\n$4\nPING\n\r\n", "invalid multibulk length"],
  ["too many arguments", `*${ARGUMENTS_MAX + 1}\r\n`, "invalid multibulk length"],
  ["a count of 33 bits", "*4294967296\r\n", "invalid multibulk length"],
  ["a count of 65 bits", "*18446744073709551616\r\n", "invalid multibulk length"],
  ["no dollar", "*1\r\nPING\r\n", "expected '$', got 'P'"],
  ["an empty line for a bulk header", "*1\r\n\r\n", "expected '$', got '\r'"],
  ["a high byte for a dollar", "*1\r\n\xff\r\n", "expected '$', got '\xff'"],
  ["a multibulk within a multibulk", "*1\r\n*1\r\n", "expected '$', got '*'"],
  ["no length", "*1\r\n$\r\n", "invalid bulk length"],
  ["a negative length", "*1\r\n$-1\r\n", "invalid bulk length"],
  ["a length with a leading zero", "*1\r\n$04\r\nPING\r\n", "invalid bulk length"],
  ["a length of two zeros", "*1\r\n$00\r\n\r\n", "invalid bulk length"],
  ["a length with a letter", "*1\r\n$4a\r\nPING\r\n", "invalid bulk length"],
  ["a length with a space", "*1\r\n$ 4\r\nPING\r\n", "invalid bulk length"],
  ["too long a bulk", `*1\r\n$${BULK_BYTES_MAX + 1}\r\n`, "invalid bulk length"],
  ["too long a bulk as second argument", "*2\r\n$4\r\nECHO\r\n$9223372036854775807\r\n", "invalid bulk length"],
];

describe("the parser reads", () => {
  test.each(REQUESTS)("%s", (_, text, requests, buffered) => {
    const bytes = latin1(text);
    expect(parse([bytes])).toEqual({ requests, buffered });
    expect(parse(inPieces(bytes, 1))).toEqual({ requests, buffered });
    for (let i = 0; i <= bytes.length; i++)
      expect(parse(cutAt(bytes, [i])), `cut at ${i}`).toEqual({ requests, buffered });
  });
});

describe("the parser refuses", () => {
  test.each(ERRORS)("%s", (_, text, error) => {
    const bytes = latin1(PING + text + PING);
    const expected = { requests: [p], error: `Protocol error: ${error}` };
    expect(parse([bytes])).toEqual(expected);
    expect(parse(inPieces(bytes, 1))).toEqual(expected);
    for (let i = 0; i <= bytes.length; i++) expect(parse(cutAt(bytes, [i])), `cut at ${i}`).toEqual(expected);
  });

  test.each<[string, string, string]>([
    ["an inline request", "", "too big inline request"],
    ["a multibulk header", "*", "too big mbulk count string"],
    ["a bulk header", "*1\r\n$", "too big bulk count string"],
    ["a bulk header without its dollar", "*1\r\nx", "too big bulk count string"],
  ])("too long a line as %s, however it is cut", (_, before, error) => {
    const line = before.slice(before.lastIndexOf("\n") + 1);
    const longest = before + "1".repeat(INLINE_BYTES_MAX - line.length);
    for (const pieceBytes of [1, 1000, INLINE_BYTES_MAX, Infinity]) {
      const short = parse(inPieces(latin1(longest), pieceBytes));
      expect(short).toEqual({ requests: [], buffered: longest.length });
      for (const end of ["1", "1\r\n", "11111\r\n"]) {
        expect(parse(inPieces(latin1(longest + end), pieceBytes))).toEqual({
          requests: [],
          error: `Protocol error: ${error}`,
        });
      }
    }
    if (before === "") expect(parse(inPieces(latin1(`${longest}\n`), 1000)).requests).toEqual([[longest]]);
  });

  test("more than it may hold of an unfinished request", () => {
    const limits = { ...AUTHENTICATED_LIMITS, bufferBytesMax: 30 };
    const request = encode(["x".repeat(20)]);
    expect(request.length).toBe(31);
    expect(parse([Buffer.concat([request, request])], limits).requests.length).toBe(2);
    expect(parse([request.subarray(0, 30)], limits)).toEqual({ requests: [], buffered: 30 });
    const expected = { requests: [], error: "Protocol error: query buffer limit exceeded" };
    expect(parse(inPieces(encode(["x".repeat(21)]), 1), limits)).toEqual(expected);
    expect(parse(inPieces(latin1("x".repeat(40)), 1), limits)).toEqual(expected);
  });
});

describe("before a client is authenticated", () => {
  const args = (n: number): string[] => Array.from({ length: n }, () => "a");

  test("it may send ten arguments of 16 KiB", () => {
    const request = [...args(9), "x".repeat(16384)];
    expect(parse([encode(request)], UNAUTHENTICATED_LIMITS).requests).toEqual([request]);
  });

  test.each<[string, string, string]>([
    ["eleven arguments", "*11\r\n", "unauthenticated multibulk length"],
    ["a longer bulk", "*1\r\n$16385\r\n", "unauthenticated bulk length"],
    ["a count nobody may send", "*4294967296\r\n", "invalid multibulk length"],
    ["a length nobody may send", `*1\r\n$${BULK_BYTES_MAX + 1}\r\n`, "invalid bulk length"],
    ["a negative length", "*1\r\n$-1\r\n", "invalid bulk length"],
  ])("it may not send %s", (_, text, error) => {
    expect(parse(inPieces(latin1(text), 1), UNAUTHENTICATED_LIMITS)).toEqual({
      requests: [],
      error: `Protocol error: ${error}`,
    });
  });

  test("its limits are lifted for the next request of the same chunk", () => {
    const parser = new RequestParser(UNAUTHENTICATED_LIMITS);
    parser.feed(Buffer.concat([encode(["AUTH", "x"]), encode(args(11))]));
    expect(parser.next()?.length).toBe(2);
    parser.limits = AUTHENTICATED_LIMITS;
    expect(parser.next()?.length).toBe(11);
  });

  test("a configured limit is no matter of authentication", () => {
    const limits = { ...AUTHENTICATED_LIMITS, bulkBytesMax: 3 };
    expect(parse([encode(["PING"])], limits)).toEqual({ requests: [], error: "Protocol error: invalid bulk length" });
  });
});

describe("the parser's memory", () => {
  /** Bytes of the memory the argument lies in. */
  const memoryOf = (argv: Argv | undefined): number => (argv as Argv).bytes(0).buffer.byteLength;

  test("requests that lie whole in a chunk are views into it", () => {
    const chunk = Buffer.from(new Uint8Array(Buffer.from(PING + PING)).buffer);
    const parser = new RequestParser();
    parser.feed(chunk);
    for (let i = 0; i < 2; i++) expect(parser.next()?.bytes(0).buffer).toBe(chunk.buffer);
    expect(parser.next()).toBeUndefined();
  });

  test("an announced bulk takes no memory before it arrives", () => {
    const before = process.memoryUsage().arrayBuffers;
    const parsers = Array.from({ length: 20 }, () => {
      const parser = new RequestParser();
      parser.feed(Buffer.from(`*${ARGUMENTS_MAX}\r\n$${BULK_BYTES_MAX}\r\nabc`));
      expect(parser.next()).toBeUndefined();
      return parser;
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
    for (const parser of parsers) expect(parser.bufferedBytes).toBeLessThan(40);
  });

  // Between the two a buffer is larger than it needs to be, but what is not written to takes no memory.
  test.each([[700_000], [40_000_000]])(
    "a last argument of %i bytes is not given twice the memory it needs",
    (bytes) => {
      const request = encode(["x".repeat(bytes)]);
      const parser = new RequestParser();
      for (const chunk of inPieces(request.subarray(0, -1), 65536)) {
        parser.feed(chunk);
        expect(parser.next()).toBeUndefined();
      }
      parser.feed(request.subarray(-1));
      expect(memoryOf(parser.next())).toBe(request.length);
    },
  );

  test.each([[""], ["*1\r\n$4\r\n"]])("memory of a large request is given back when %j follows", (tail) => {
    const parser = new RequestParser();
    const bytes = Buffer.concat([encode(["x".repeat(1_000_000)]), latin1(tail)]);
    let large: number | undefined;
    for (const chunk of inPieces(bytes, 65536)) {
      parser.feed(chunk);
      for (let argv = parser.next(); argv !== undefined; argv = parser.next()) large = memoryOf(argv);
    }
    expect(large).toBeGreaterThanOrEqual(1_000_000);
    parser.feed(latin1(PING.slice(tail.length, -1)));
    expect(parser.next()).toBeUndefined();
    parser.feed(latin1("\n"));
    expect(memoryOf(parser.next())).toBeLessThanOrEqual(Buffer.poolSize);
  });

  test("a request that comes byte by byte is neither parsed nor moved again and again", () => {
    // Quadratic work would take hours here; the test's timeout would end it.
    const bulk = encode(["x".repeat(500_000)]);
    const arguments_ = encode(Array.from({ length: 100_000 }, () => "x"));
    const bytes = Buffer.concat([latin1(PING), bulk, latin1(PING), arguments_]);
    const parser = new RequestParser();
    const lengths: number[] = [];
    for (const chunk of inPieces(bytes, 1)) {
      parser.feed(chunk);
      for (let argv = parser.next(); argv !== undefined; argv = parser.next()) lengths.push(argv.length);
    }
    expect(lengths).toEqual([1, 1, 1, 100_000]);
  }, 20_000);

  test("a chunk that is kept may be spoilt while requests in it have not been taken", () => {
    const bytes = Buffer.concat([encode(["ECHO", "a"]), encode(["ECHO", "b"]), encode(["ECHO", "c"])]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      for (let taken = 0; taken <= 3; taken++) {
        const parser = new RequestParser();
        const requests: string[][] = [];
        const take = (most: number) => {
          for (let argv: Argv | undefined; requests.length < most; requests.push(strings(argv))) {
            argv = parser.next();
            if (argv === undefined) break;
          }
        };
        const chunk = Buffer.from(bytes.subarray(0, cut));
        parser.feed(chunk);
        take(taken);
        parser.keep();
        chunk.fill(0x2a);
        parser.feed(bytes.subarray(cut));
        take(Infinity);
        expect(requests).toEqual([
          ["ECHO", "a"],
          ["ECHO", "b"],
          ["ECHO", "c"],
        ]);
      }
    }
  });

  test("chunks may be fed before the requests of earlier ones are taken", () => {
    const parser = new RequestParser();
    const requests = Array.from({ length: 1000 }, (_, n) => ["ECHO", String(n)]);
    for (const chunk of inPieces(Buffer.concat(requests.map(encode)), 7)) parser.feed(chunk);
    for (const request of requests) expect(strings(parser.next() as Argv)).toEqual(request);
    expect(parser.next()).toBeUndefined();
  });
});

describe("whatever is sent", () => {
  const args = fc.array(fc.uint8Array({ maxLength: 130 }), { minLength: 1, maxLength: 12 });
  const cuts = fc.array(fc.nat(), { maxLength: 20 });
  /** Pieces of requests, so that chance comes near to what is valid. */
  const shred = fc.oneof(
    fc.constantFrom(..."*$120-'\"\\ \r\n", "\r\n", "\\x4", "*1\r\n", "*2\r\n", "$1\r\n", "$4\r\n", "*-1\r\n", PING),
    fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  );
  const garbage = fc.array(shred, { maxLength: 30 }).map((shreds) => latin1(shreds.join("")));

  test("requests come out as they went in, however they are cut", () => {
    fc.assert(
      fc.property(fc.array(args, { maxLength: 6 }), cuts, (requests, places) => {
        const bytes = Buffer.concat(requests.map(encode));
        const expected = requests.map((request) => request.map((arg) => Buffer.from(arg).toString("latin1")));
        expect(parse(cutAt(bytes, places))).toEqual({ requests: expected, buffered: 0 });
      }),
      { numRuns: 500 },
    );
  });

  test("garbage gives the same requests and the same ProtocolError, however it is cut", () => {
    fc.assert(
      fc.property(garbage, cuts, (bytes, places) => {
        const whole = parse([bytes]);
        expect(parse(cutAt(bytes, places))).toEqual(whole);
        expect(parse(inPieces(bytes, 1))).toEqual(whole);
      }),
      { numRuns: 2000 },
    );
  });

  test("a spoilt request gives requests or a ProtocolError and nothing else", () => {
    const spoil = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(args, { minLength: 1, maxLength: 4 }), spoil, cuts, (requests, changes, places) => {
        const bytes = Buffer.concat(requests.map(encode));
        for (const [place, byte] of changes) bytes[place % bytes.length] = byte;
        const whole = parse([bytes]);
        expect(parse(cutAt(bytes, places))).toEqual(whole);
      }),
      { numRuns: 2000 },
    );
  });
});
