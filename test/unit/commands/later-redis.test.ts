/**
 * What is here of Redis versions later than the one that the other tests compare with: replies as Redis' documentation tells them, the
 * examples of "Redis bitmaps" (docs, develop/data-types) for 8.2's BITOP among them, and those of the commands' pages.
 */
import { describe, expect, test } from "vitest";
import { TestServer } from "./harness.js";

/** The documentation's bitmaps: 11011000, 00011001 and 01101100. */
const SOURCES = ["SET A \xd8", "SET B \x19", "SET C l"];

describe("BITOP of Redis 8.2", () => {
  test.each([
    ["DIFF R A B C", "\x80"],
    ["DIFF1 R A B C", "%"],
    ["ANDOR R A B C", "X"],
    ["ONE R A B C", "\xa5"],
    // What 7.0 has too, in the same example.
    ["AND R A B C", "\b"],
    ["OR R A B C", "\xfd"],
    ["XOR R A B", "\xc1"],
    ["NOT R A", "'"],
  ])("BITOP %s", (request, result) => {
    const client = new TestServer().connect();
    client.sayAll(...SOURCES);
    expect(client.say(`BITOP ${request}`)).toBe(":1\r\n");
    expect(client.say("GET R")).toBe(`$1\r\n${result}\r\n`);
  });

  test.each(["DIFF", "DIFF1", "ANDOR", "ONE"])("BITOP %s takes keys that are missing for zeros", (operation) => {
    const client = new TestServer().connect();
    client.say("SETBIT long 100 1");
    // As long as the longest source, also where no bit is set.
    expect(client.say(`BITOP ${operation} R missing long`)).toBe(":13\r\n");
    expect(client.say("STRLEN R")).toBe(":13\r\n");
    expect(client.say(`BITOP ${operation} R missing missing`)).toBe(":0\r\n");
    expect(client.say("EXISTS R")).toBe(":0\r\n");
  });
});

describe("CLIENT of Redis 7.2", () => {
  test("SETINFO is shown by CLIENT INFO, and RESET does not clear it", () => {
    const client = new TestServer().connect();
    expect(client.say("CLIENT SETINFO LIB-NAME jedis(redis-om-spring_v1.0.0)")).toBe("+OK\r\n");
    expect(client.say("CLIENT SETINFO lib-ver 5.0")).toBe("+OK\r\n");
    client.say("RESET");
    expect(client.say("CLIENT INFO")).toContain(" lib-name=jedis(redis-om-spring_v1.0.0) lib-ver=5.0");
  });

  test("SETINFO refuses what CLIENT LIST could not show, and other attributes", () => {
    const client = new TestServer().connect();
    for (const value of ["a b", "a\nb"]) {
      expect(client.run("CLIENT", "SETINFO", "LIB-NAME", value)).toMatch(/^-ERR lib-name cannot contain spaces/);
    }
    expect(client.say("CLIENT SETINFO LIB-COLOUR red")).toMatch(/^-ERR Unrecognized option 'LIB-COLOUR'/);
  });

  test("NO-TOUCH is ON or OFF", () => {
    const client = new TestServer().connect();
    expect(client.say("CLIENT NO-TOUCH ON")).toBe("+OK\r\n");
    expect(client.say("CLIENT NO-TOUCH OFF")).toBe("+OK\r\n");
    expect(client.say("CLIENT NO-TOUCH")).toBe("-ERR wrong number of arguments for 'client|no-touch' command\r\n");
  });
});

describe("CLIENT KILL of Redis 7.4", () => {
  test("MAXAGE ends those that are at least so old, and tells how many", () => {
    const server = new TestServer();
    const old = server.connect();
    server.clock.advance(10_000);
    const client = server.connect();
    expect(client.say("CLIENT KILL MAXAGE 11")).toBe(":0\r\n");
    expect(client.say("CLIENT KILL MAXAGE 10")).toBe(":1\r\n");
    expect(client.say("CLIENT LIST")).not.toContain(`id=${old.client.id} `);
  });
});
