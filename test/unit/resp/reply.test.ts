/** Reply encoders: the bytes in RESP2 and RESP3, and RESP2 read back by redis-parser. */
import fc from "fast-check";
import RedisParser from "redis-parser";
import { describe, expect, test } from "vitest";
import { Reply } from "../../../src/resp/reply.js";

function written(protocol: 2 | 3, write: (reply: Reply) => void): string {
  const reply = new Reply();
  reply.protocol = protocol;
  write(reply);
  return reply.bytes().toString("latin1");
}

/** What a client sees in RESP2 bytes: all replies, buffers as latin1 strings. */
function decoded(bytes: Buffer): unknown[] {
  const replies: unknown[] = [];
  const parser = new RedisParser({
    returnReply: (reply) => replies.push(reply),
    returnError: (error) => replies.push(error.message),
    returnFatalError: (error) => {
      throw error;
    },
    returnBuffers: true,
  });
  parser.execute(bytes);
  return replies.map(text);
}

const text = (reply: unknown): unknown => {
  if (Buffer.isBuffer(reply)) return reply.toString("latin1");
  return Array.isArray(reply) ? reply.map(text) : reply;
};

function* slicesOf(...slices: string[]): Generator<Uint8Array> {
  for (const slice of slices) yield Buffer.from(slice, "latin1");
}

const ENCODERS: [name: string, write: (reply: Reply) => void, resp2: string, resp3: string][] = [
  ["OK", (r) => r.ok(), "+OK\r\n", "+OK\r\n"],
  ["QUEUED", (r) => r.queued(), "+QUEUED\r\n", "+QUEUED\r\n"],
  ["a status", (r) => r.simple("PONG"), "+PONG\r\n", "+PONG\r\n"],
  ["an error", (r) => r.error("ERR syntax error"), "-ERR syntax error\r\n", "-ERR syntax error\r\n"],
  ["an error with line ends", (r) => r.error("ERR unknown '\r\n'"), "-ERR unknown '  '\r\n", "-ERR unknown '  '\r\n"],
  ["0", (r) => r.integer(0), ":0\r\n", ":0\r\n"],
  ["1", (r) => r.integer(1), ":1\r\n", ":1\r\n"],
  ["-1", (r) => r.integer(-1), ":-1\r\n", ":-1\r\n"],
  ["2^31 - 1", (r) => r.integer(2147483647), ":2147483647\r\n", ":2147483647\r\n"],
  ["2^31", (r) => r.integer(2147483648), ":2147483648\r\n", ":2147483648\r\n"],
  ["2^53 - 1", (r) => r.integer(Number.MAX_SAFE_INTEGER), ":9007199254740991\r\n", ":9007199254740991\r\n"],
  ["-2^63", (r) => r.integer(-(2n ** 63n)), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"],
  ["a bulk", (r) => r.bulk("a\r\nb"), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"],
  ["an empty bulk", (r) => r.bulk(""), "$0\r\n\r\n", "$0\r\n\r\n"],
  ["a bulk of bytes", (r) => r.bulk(Buffer.from([0, 255])), "$2\r\n\x00\xff\r\n", "$2\r\n\x00\xff\r\n"],
  ["a bulk of a latin1 string", (r) => r.bulk("\x00\xff"), "$2\r\n\x00\xff\r\n", "$2\r\n\x00\xff\r\n"],
  ["nil", (r) => r.nil(), "$-1\r\n", "_\r\n"],
  ["a nil array", (r) => r.nilArray(), "*-1\r\n", "_\r\n"],
  ["an array", (r) => r.array(12), "*12\r\n", "*12\r\n"],
  ["a map", (r) => r.map(3), "*6\r\n", "%3\r\n"],
  ["a set", (r) => r.set(3), "*3\r\n", "~3\r\n"],
  ["a push", (r) => r.push(3), "*3\r\n", ">3\r\n"],
  ["a double", (r) => r.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"],
  ["a whole double", (r) => r.double(-0), "$2\r\n-0\r\n", ",-0\r\n"],
  ["infinity", (r) => r.double(Infinity), "$3\r\ninf\r\n", ",inf\r\n"],
  ["minus infinity", (r) => r.double(-Infinity), "$4\r\n-inf\r\n", ",-inf\r\n"],
  ["no number", (r) => r.double(NaN), "$3\r\nnan\r\n", ",nan\r\n"],
  ["verbatim text", (r) => r.verbatim("a\nb"), "$3\r\na\nb\r\n", "=7\r\ntxt:a\nb\r\n"],
  ["verbatim markdown", (r) => r.verbatim("#", "mkd"), "$1\r\n#\r\n", "=5\r\nmkd:#\r\n"],
  ["a stream", (r) => r.stream(5, slicesOf("ab", "", "cde")), "$5\r\nabcde\r\n", "$5\r\nabcde\r\n"],
];

describe("a reply is written in RESP2 and RESP3", () => {
  test.each(ENCODERS)("%s", (_, write, resp2, resp3) => {
    expect(written(2, write)).toBe(resp2);
    expect(written(3, write)).toBe(resp3);
  });

  test("each after the other", () => {
    for (const protocol of [2, 3] as const) {
      const all = written(protocol, (reply) => {
        for (const [, write] of ENCODERS.slice(0, -1)) write(reply);
      });
      // The last one is the stream, whose slices the other tests have pulled.
      const expected = ENCODERS.slice(0, -1).map((row) => row[protocol]);
      expect(all).toBe(expected.join(""));
    }
  });

  test("integers of any length", () => {
    fc.assert(
      fc.property(
        fc.maxSafeInteger(),
        fc.nat(),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        (n, small, big) => {
          const all = written(2, (reply) => {
            for (const value of [n, small, big]) reply.integer(value);
          });
          expect(all).toBe(`:${n === 0 ? 0 : n}\r\n:${small}\r\n:${big}\r\n`);
        },
      ),
    );
    for (let bound = 1; bound < 2 ** 53; bound *= 10) {
      for (const n of [bound - 1, bound, bound + 1]) expect(written(2, (reply) => reply.integer(n))).toBe(`:${n}\r\n`);
    }
  });
});

describe("redis-parser reads back", () => {
  test("a nested RESP2 reply", () => {
    const reply = new Reply();
    reply.array(5);
    reply.bulk("k\xff");
    reply.integer(-7);
    reply.map(1);
    reply.bulk("a");
    reply.array(0);
    reply.nil();
    reply.nilArray();
    reply.ok();
    reply.error("ERR no");
    expect(decoded(reply.bytes())).toEqual([["k\xff", -7, ["a", []], null, null], "OK", "ERR no"]);
  });

  test("any bulks and integers", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.maxSafeInteger())), (values) => {
        const reply = new Reply();
        reply.array(values.length);
        for (const value of values) {
          if (typeof value === "number") reply.integer(value);
          else reply.bulk(value);
        }
        const expected = values.map((value) =>
          typeof value === "number" ? value || 0 : Buffer.from(value).toString("latin1"),
        );
        expect(decoded(reply.bytes())).toEqual([expected]);
      }),
    );
  });

  test("a reply larger than the scratch buffer, as bytes and as a string", () => {
    const reply = new Reply();
    const large = "0123456789".repeat(50_000);
    reply.array(3);
    reply.bulk(large);
    reply.bulk(Buffer.from(large));
    reply.stream(large.length, slicesOf(large.slice(0, 70_000), large.slice(70_000)));
    expect(reply.size).toBeGreaterThan(1_000_000);
    expect(decoded(reply.bytes())).toEqual([[large, large, large]]);
  });
});

describe("what has been written", () => {
  test("is taken once, in segments of their own", () => {
    const reply = new Reply();
    const slices = slicesOf("abc");
    reply.integer(1);
    reply.stream(3, slices);
    reply.ok();
    expect(reply.size).toBe(15);
    const segments = reply.take();
    reply.error("ERR this must not show in what was taken");
    const [before, stream, after, ...more] = segments;
    expect([before, after, more]).toEqual([Buffer.from(":1\r\n$3\r\n"), Buffer.from("\r\n+OK\r\n"), []]);
    expect((stream as { slices: unknown }).slices).toBe(slices);
  });

  test("is nothing after it was taken", () => {
    const reply = new Reply();
    expect(reply.take()).toEqual([]);
    reply.ok();
    reply.take();
    expect(reply.size).toBe(0);
    expect(reply.take()).toEqual([]);
  });

  test("streams come in order", () => {
    const reply = new Reply();
    reply.array(2);
    reply.stream(1, slicesOf("a"));
    reply.stream(0, slicesOf());
    reply.nil();
    expect(reply.bytes().toString()).toBe("*2\r\n$1\r\na\r\n$0\r\n\r\n$-1\r\n");
  });

  test("is taken back to a mark, with its streams", () => {
    const reply = new Reply();
    const closed: string[] = [];
    const stream = (name: string): Iterator<Uint8Array> => ({
      next: () => ({ done: true, value: undefined }),
      return: () => {
        closed.push(name);
        return { done: true, value: undefined };
      },
    });
    reply.ok();
    reply.stream(0, stream("kept"));
    const mark = reply.mark();
    reply.stream(0, stream("first"));
    reply.array(100_000);
    reply.bulk("x".repeat(100_000));
    reply.stream(0, stream("second"));
    reply.rewind(mark);
    reply.error("ERR failed");
    expect(closed.sort()).toEqual(["first", "second"]);
    expect(reply.bytes().toString()).toBe("+OK\r\n$0\r\n\r\n-ERR failed\r\n");
  });

  test("a mark before anything was written takes all back", () => {
    const reply = new Reply();
    const mark = reply.mark();
    reply.stream(1, slicesOf("a"));
    reply.rewind(mark);
    expect(reply.take()).toEqual([]);
  });
});
