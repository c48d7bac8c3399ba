/** Argv: reading arguments out of bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Argv } from "../../../src/resp/argv.js";

describe("Argv", () => {
  test("gives its arguments as strings and as bytes", () => {
    const argv = Argv.of("SET", Buffer.from([0xff, 0x00]), "");
    expect(argv.length).toBe(3);
    expect(argv.string(0)).toBe("SET");
    expect(argv.string(1)).toBe("\xff\x00");
    expect(argv.bytes(1)).toEqual(Buffer.from([0xff, 0x00]));
    expect(argv.byteLength(1)).toBe(2);
    expect(argv.string(2)).toBe("");
    expect(argv.byteLength(2)).toBe(0);
  });

  test("tells where its arguments lie", () => {
    const argv = Argv.of("SET", Buffer.from([0xff, 0x00]), "");
    for (let i = 0; i < argv.length; i++) {
      const { bytes, start, end } = argv.place(i);
      expect(bytes.subarray(start, end)).toEqual(argv.bytes(i));
    }
    expect(() => argv.place(3)).toThrow(RangeError);
  });

  test("keeps every byte of any argument, however often it is read", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 }), (args) => {
        const argv = Argv.of(...args);
        for (const [i, arg] of args.entries()) {
          const text = Buffer.from(arg).toString("latin1");
          expect(argv.string(i)).toBe(text);
          expect(argv.string(i)).toBe(text);
          expect(argv.bytes(i).equals(arg)).toBe(true);
        }
      }),
    );
  });

  test("tells apart keys that differ in one byte", () => {
    const keys = Array.from({ length: 20_000 }, (_, n) => `trackist_user:active_${n % 7}_2015-${n}`);
    for (const key of keys) expect(Argv.of(key).string(0)).toBe(key);
    for (const key of keys)
      for (const other of [`x${key}`, `${key}x`, key.replace("_", "-")]) expect(Argv.of(other).string(0)).toBe(other);
  });

  test("compares with a word in any case", () => {
    for (const word of ["SETBIT", "setbit", "SetBit"]) expect(Argv.of(word).is(0, "SETBIT")).toBe(true);
    for (const word of ["SETBI", "SETBITS", "", "GETBIT", "SETBI\x14", "\x13ETBIT"])
      expect(Argv.of(word).is(0, "SETBIT")).toBe(false);
    expect(Argv.of("@").is(0, "`")).toBe(false);
    expect(Argv.of("").is(0, "")).toBe(true);
  });

  test("takes canonical integers only", () => {
    for (const text of [
      "0",
      "1",
      "9",
      "10",
      "-1",
      "-10",
      "4294967295",
      "4294967296",
      "9007199254740991",
      "-9007199254740991",
    ]) {
      expect(Argv.of(text).integer(0)).toBe(Number(text));
      expect(Argv.of(text).bigint(0)).toBe(BigInt(text));
    }
    for (const text of [
      "",
      "-",
      "-0",
      "00",
      "007",
      "-01",
      "+1",
      " 1",
      "1 ",
      "1\n",
      "1.0",
      "1e3",
      "0x1",
      "a",
      "1a",
      "--1",
      "１",
      "1\x00",
    ]) {
      expect(Argv.of(text).integer(0), text).toBeNaN();
      expect(Argv.of(text).bigint(0), text).toBeUndefined();
    }
  });

  test("takes integers of 64 bits as bigint and no longer ones", () => {
    for (const text of ["9007199254740992", "9223372036854775807", "-9223372036854775808"]) {
      expect(Argv.of(text).integer(0)).toBeNaN();
      expect(Argv.of(text).bigint(0)).toBe(BigInt(text));
    }
    for (const text of [
      "9223372036854775808",
      "-9223372036854775809",
      "18446744073709551616",
      "99999999999999999999",
      "1".repeat(400),
    ]) {
      expect(Argv.of(text).integer(0)).toBeNaN();
      expect(Argv.of(text).bigint(0)).toBeUndefined();
    }
  });

  test("takes any integer that is written canonically", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (n, big) => {
        const argv = Argv.of(String(n), String(big));
        expect(argv.integer(0)).toBe(n === 0 ? 0 : n);
        expect(argv.bigint(1)).toBe(big);
      }),
    );
  });

  test("copies into memory of its own", () => {
    const bytes = Buffer.from("keyvalue");
    const argv = new Argv();
    argv.begin(bytes);
    argv.push(0, 3);
    argv.push(3, 8);
    const copy = argv.copy();
    bytes.fill(0);
    argv.begin(Buffer.alloc(0));
    expect([copy.length, copy.string(0), copy.string(1)]).toEqual([2, "key", "value"]);
  });

  test("refuses to read past its arguments", () => {
    const argv = Argv.of("GET", "k");
    argv.begin(Buffer.from("PING"));
    argv.push(0, 4);
    for (const i of [1, 2, -1]) {
      for (const read of [
        () => argv.string(i),
        () => argv.bytes(i),
        () => argv.byteLength(i),
        () => argv.is(i, "K"),
        () => argv.integer(i),
        () => argv.bigint(i),
      ]) {
        expect(read).toThrow(RangeError);
      }
    }
  });
});
