import { describe, expect, test } from "vitest";
import { isAllInterfaces, parseAddress } from "../../../src/cli/address.js";

describe("parseAddress", () => {
  test.each([
    ["localhost:6379", "localhost", 6379],
    [":6379", undefined, 6379],
    ["127.0.0.1:0", "127.0.0.1", 0],
    ["[::1]:6379", "::1", 6379],
    ["[fe80::1%eth0]:65535", "fe80::1%eth0", 65535],
    ["[::]:1", "::", 1],
    ["bitmaps.example.org:7000", "bitmaps.example.org", 7000],
  ])("reads %s", (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port });
  });

  test.each([
    ["", "Write HOST:PORT."],
    ["localhost", "The port is missing: write HOST:PORT."],
    ["localhost:", "The port is missing: write HOST:PORT."],
    [":", "The port is missing: write HOST:PORT."],
    ["6379", "Write HOST:PORT, or :6379 for all interfaces."],
    ["localhost:65536", "The port must be a number from 0 to 65535."],
    ["localhost:-1", "The port must be a number from 0 to 65535."],
    ["localhost:redis", "The port must be a number from 0 to 65535."],
    ["localhost:6379 ", "The port must be a number from 0 to 65535."],
    ["localhost:0x10", "The port must be a number from 0 to 65535."],
    ["::1:6379", "Write an IPv6 address in brackets, as in [::1]:6379."],
    ["[::1]", "Write an IPv6 address in brackets, as in [::1]:6379."],
    ["[]:6379", "Write an IPv6 address in brackets, as in [::1]:6379."],
    ["local host:6379", "The host contains a space."],
  ])("refuses '%s' and says how to write it", (text, message) => {
    expect(() => parseAddress(text)).toThrow(message);
  });
});

test("all interfaces are no host and the two wildcard addresses, not a loopback", () => {
  expect(["*", "-::*", "0.0.0.0", "::"].map(isAllInterfaces)).toEqual([true, true, true, true]);
  expect(["localhost", "127.0.0.1", "::1", "10.0.0.1"].some(isAllInterfaces)).toBe(false);
});
