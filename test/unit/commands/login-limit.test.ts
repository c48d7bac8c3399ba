/** Failed logins: how many an address has, what they keep out, and when they are forgotten. */
import { describe, expect, test } from "vitest";
import { networkOf } from "../../../src/commands/acl/login-limit.js";
import { LOGIN_ADDRESSES_MAX, LOGIN_FAILURE_MS } from "../../../src/config.js";
import { type TestClient, TestServer } from "./harness.js";

const OK = "+OK\r\n";
const WRONG = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
const TOO_MANY = "-ERR too many failed logins from this address, try again in a second\r\n";

function locked(max = 3): TestServer {
  const server = new TestServer();
  server.users.requirepass = "secret";
  server.settings.loginFailuresMax = max;
  return server;
}

/** A client from elsewhere. */
function from(server: TestServer, address: string): TestClient {
  const client = server.connect();
  Object.assign(client, { address });
  return client;
}

const fail = (client: TestClient, times: number) => Array.from({ length: times }, () => client.say("AUTH wrong"));

test("after so many failures an address is refused, the right password too, and no other address", () => {
  const server = locked();
  expect(fail(from(server, "10.0.0.1:1"), 5)).toEqual([WRONG, WRONG, WRONG, TOO_MANY, TOO_MANY]);
  expect(from(server, "10.0.0.1:2").say("AUTH secret")).toBe(TOO_MANY);
  expect(from(server, "10.0.0.1:2").say("HELLO 3 AUTH default secret")).toBe(TOO_MANY);
  expect(from(server, "10.0.0.2:1").say("AUTH secret")).toBe(OK);
});

test("one failure is forgotten after another, and refusals are none", () => {
  const server = locked();
  const client = from(server, "10.0.0.1:1");
  fail(client, 9);
  server.clock.advance(LOGIN_FAILURE_MS - 1);
  expect(client.say("AUTH secret")).toBe(TOO_MANY);
  server.clock.advance(1);
  expect(fail(client, 2)).toEqual([WRONG, TOO_MANY]);
  server.clock.advance(LOGIN_FAILURE_MS);
  expect(client.say("AUTH secret")).toBe(OK);
  server.clock.advance(3 * LOGIN_FAILURE_MS);
  expect(fail(client, 4)).toEqual([WRONG, WRONG, WRONG, TOO_MANY]);
});

test("who is in stays in", () => {
  const server = locked();
  const inside = from(server, "10.0.0.1:1");
  inside.say("AUTH secret");
  fail(from(server, "10.0.0.1:2"), 9);
  expect(inside.say("PING")).toBe("+PONG\r\n");
});

test("right passwords are no failures, and a clock that is set back keeps nobody out", () => {
  const server = locked();
  const client = from(server, "10.0.0.1:1");
  for (let i = 0; i < 20; i++) expect(client.say("AUTH secret")).toBe(OK);
  fail(client, 9);
  server.clock.set(server.clock.now() - 3_600_000);
  expect(client.say("AUTH secret")).toBe(OK);
});

test("0 is no limit, and a unix socket has none", () => {
  expect(fail(from(locked(0), "10.0.0.1:1"), 50)).toEqual(new Array(50).fill(WRONG));
  expect(fail(from(locked(), "/run/s.sock:0"), 50)).toEqual(new Array(50).fill(WRONG));
});

test("so many addresses are remembered, and the one that failed longest ago is forgotten for another", () => {
  const server = locked(1);
  const client = server.connect();
  const at = (i: number) => Object.assign(client, { address: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:1` });
  for (let i = 0; i <= LOGIN_ADDRESSES_MAX; i++) fail(at(i), 1);
  expect(at(0).say("AUTH secret")).toBe(OK);
  expect(at(1).say("AUTH secret")).toBe(TOO_MANY);
});

describe("the address of", () => {
  test.each([
    ["10.0.0.1:5", "10.0.0.1"],
    ["[2001:db8:1:2:3:4:5:6]:80", "2001:db8:1:2"],
    ["[2001:db8:1:2::9]:80", "2001:db8:1:2"],
    ["[2001:db8::9]:80", "2001:db8:0:0"],
    ["[::1]:80", "0:0:0:0"],
    ["/run/s.sock:0", undefined],
  ])("%s is %s", (endpoint, network) => {
    expect(networkOf(endpoint)).toBe(network);
  });
});
