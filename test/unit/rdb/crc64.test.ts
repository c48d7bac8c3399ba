/** CRC-64 as Redis' RDB has it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Crc64 } from "../../../src/rdb/crc64.js";

const POLYNOMIAL = 0xad93d23594c935a9n;

/** The checksum as its definition says it: bit by bit, on numbers of 64 bits, reflected on the way in and out. */
function slowCrc64(bytes: Uint8Array): bigint {
  let crc = 0n;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const isOut = (crc >> 63n) ^ BigInt((byte >> bit) & 1);
      crc = (crc << 1n) & 0xffffffffffffffffn;
      if (isOut === 1n) crc ^= POLYNOMIAL;
    }
  }
  return BigInt(`0b${[...crc.toString(2).padStart(64, "0")].reverse().join("")}`);
}

const digestOf = (bytes: Uint8Array) => new Crc64().update(bytes).digest().readBigUInt64LE();

test("of 123456789 it is Redis' check value", () => {
  expect(digestOf(Buffer.from("123456789"))).toBe(0xe9c6d914c4b8d9can);
});

test("of nothing it is 0", () => {
  expect(new Crc64().digest()).toEqual(Buffer.alloc(8));
});

test("is what the definition says, in however many pieces the bytes come", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, at) => {
      const pieces = new Crc64().update(bytes.subarray(0, at)).update(bytes.subarray(at));
      expect(pieces.digest().readBigUInt64LE()).toBe(slowCrc64(bytes));
    }),
  );
});
