/** Users and what they may do, as far as no redis-server can be asked (test/differential/acl.test.ts asks one). */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { denialOf } from "../../../src/commands/acl/check.js";
import { type Command, LOOK_AT_KEYS } from "../../../src/commands/command.js";
import { ACL_LOG_TEXT_BYTES_MAX } from "../../../src/config.js";
import { Argv } from "../../../src/resp/argv.js";
import { replyValue, type Value } from "../../support/ask.js";
import { type TestClient, TestServer } from "./harness.js";

const OK = "+OK\r\n";
const PONG = "+PONG\r\n";
const NOAUTH = "-NOAUTH Authentication required.\r\n";
const NO_KEY = "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n";
const noCommand = (name: string) => `-NOPERM this user has no permissions to run the '${name}' command\r\n`;

/** A server with a user `bob` who may do what the rules say, an operator's connection and one of bob's. */
function withBob(rules: string) {
  const server = new TestServer();
  const operator = server.connect();
  operator.say("ACL SETUSER bob on nopass");
  const bob = server.connect();
  expect(bob.say("AUTH bob x")).toBe(OK);
  expect(operator.say(`ACL SETUSER bob ${rules}`)).toBe(OK);
  return { server, operator, bob };
}

describe("what costs nothing", () => {
  test("a connection of an unrestricted user is not looked at, and is again when the user is restricted", () => {
    const { operator, bob } = withBob("~* &* +@all");
    expect(operator.client.isUnrestricted).toBe(true);
    expect(bob.client.isUnrestricted).toBe(true);
    for (const [narrower, wider] of [
      ["-flushall", "+flushall"],
      ["resetkeys", "~*"],
      ["resetchannels", "&*"],
    ]) {
      operator.say(`ACL SETUSER bob ${narrower}`);
      expect(bob.client.isUnrestricted, narrower).toBe(false);
      operator.say(`ACL SETUSER bob ${wider}`);
      expect(bob.client.isUnrestricted, wider).toBe(true);
    }
    expect(operator.client.isUnrestricted).toBe(true);
  });

  test("a password for the default user closes the door to newcomers only", () => {
    const server = new TestServer();
    const early = server.connect();
    early.say("CONFIG SET requirepass pw");
    const late = server.connect();
    expect(early.say("PING")).toBe(PONG);
    expect(late.client).toMatchObject({ isUnrestricted: false, mustAuthenticate: true });
    expect(late.say("PING")).toBe(NOAUTH);
    expect(late.say("AUTH pw")).toBe(OK);
    expect(late.client).toMatchObject({ isUnrestricted: true, mustAuthenticate: false });
  });
});

describe("commands that only this server has", () => {
  test("COHORT needs to read every one of its keys, wherever they stand", () => {
    const { bob } = withBob("+cohort +bitopcard ~r* %W~w*");
    expect(bob.say("COHORT ROWS 1 r1 AND 1 r2 COLUMNS 1 r3")).not.toContain("NOPERM");
    expect(bob.say("COHORT ROWS 1 w1 COLUMNS 1 r3")).toBe(NO_KEY);
    expect(bob.say("COHORT ROWS 1 r1 AND 1 x COLUMNS 1 r3")).toBe(NO_KEY);
    expect(bob.say("COHORT ROWS 1 r1 COLUMNS 1 w1")).toBe(NO_KEY);
    expect(bob.say("BITOPCARD AND r1 w1")).toBe(NO_KEY);
  });

  test.each(["BITADD k 1", "BITREM k 1", "BITADDRANGE k 1 2", "BITREMRANGE k 1 2", "R.SETBIT k 1 1"])(
    "%s reads and writes its key, for its reply tells of the bits",
    (request) => {
      const { operator, bob } = withBob("+@bitmap +@write %R~k");
      expect(bob.say(request)).toBe(NO_KEY);
      operator.say("ACL SETUSER bob resetkeys %W~k");
      expect(bob.say(request)).toBe(NO_KEY);
      operator.say("ACL SETUSER bob %R~k");
      expect(bob.say(request)).toMatch(/^:\d\r\n$/);
    },
  );

  test("one whose keys can't be told is for the handler to refuse", () => {
    const { bob } = withBob("+cohort ~r*");
    expect(bob.say("COHORT ROWS 5 x COLUMNS 1 r")).toBe("-ERR Number of keys can't be greater than number of args\r\n");
  });
});

test("a command that was queued is looked at again when EXEC comes to it, also when EXEC itself has changed the user", () => {
  const { operator, bob } = withBob("~* +@all");
  bob.say("MULTI");
  for (const request of ["SET k 1", "ACL SETUSER bob -get", "GET k", "PING"]) {
    expect(bob.say(request)).toBe("+QUEUED\r\n");
  }
  const reply = bob.say("EXEC");
  expect(reply).toMatch(/^\*4\r\n\+OK\r\n\+OK\r\n-NOPERM ACLs rules changed [^\r]*\r\n\+PONG\r\n$/);
  expect(replyValue(operator.say("ACL LOG"))).toMatchObject([{ 1: 1, 3: "command", 5: "multi", 7: "get", 9: "bob" }]);
});

test("a rule of a command that is not here allows and forbids nothing", () => {
  const { operator, bob } = withBob("~* &* +@all");
  operator.say("ACL SETUSER bob -hget -sort_ro");
  expect(bob.client.isUnrestricted).toBe(true);
  expect(operator.say("ACL DRYRUN bob hget k f")).toBe("-ERR Command 'hget' not found\r\n");
});

describe("users that go", () => {
  test("take their connections with them, one's own after the reply", () => {
    const { server, operator, bob } = withBob("~* +@all");
    const other = server.connect();
    other.say("AUTH bob x");
    expect(bob.say("ACL DELUSER bob")).toBe(":1\r\n");
    expect(bob.client.closing).toBe(true);
    expect(other.isDestroyed).toBe(true);
    expect(operator.isDestroyed).toBe(false);
  });

  test("leave nothing to a user of the same name", () => {
    const { operator } = withBob("~* +@all >pw");
    operator.sayAll("ACL DELUSER bob", "ACL SETUSER bob");
    expect(replyValue(operator.say("ACL LIST"))).toContain("user bob off resetchannels -@all");
  });
});

describe("rules of commands are shown as they were given", () => {
  test.each([
    ["+get +set", "-@all +get +set"],
    ["+set +get +set", "-@all +get +set"],
    ["+get -get", "-@all -get"],
    ["+@read -@write +set", "-@all +@read -@write +set"],
    ["+@set", "-@all +@set"],
    ["+@all -@dangerous +config|get", "+@all -@dangerous +config|get"],
    ["+config|get +config", "-@all +config"],
    ["+config -config|set", "-@all +config -config|set"],
    ["+select|0 +SELECT|1 +select|0", "-@all +select|0 +select|1"],
    ["+select|0 -select", "-@all -select"],
    ["+hget -Cluster|SLOTS +client|pause -hget", "-@all -cluster|slots +client|pause -hget"],
    ["+get allcommands", "+@all"],
    ["+@READ +GET", "-@all +@read +get"],
  ])("%s", (rules, shown) => {
    const operator = new TestServer().connect();
    operator.say(`ACL SETUSER u ${rules}`);
    expect((replyValue(operator.say("ACL GETUSER u")) as Value[])[5]).toBe(shown);
  });
});

test.each(["a\nuser evil on nopass ~* +@all", "a b", "a\rb", "\0"])(
  "a first argument that a file can't hold as one word is refused: %j",
  (argument) => {
    const operator = new TestServer().connect();
    const rule = `+select|${argument}`;
    expect(operator.run("ACL", "SETUSER", "u", rule)).toMatch(
      /^-ERR Error in ACL SETUSER modifier '\+select\|[^\r\n]*': Syntax error\r\n$/,
    );
    expect(operator.say("ACL USERS")).toBe("*1\r\n$7\r\ndefault\r\n");
  },
);

describe("ACL LOG", () => {
  test("counts what comes again within a minute, and keeps no more of a name than it should", () => {
    const { server, operator, bob } = withBob("+get ~a");
    const key = "k".repeat(ACL_LOG_TEXT_BYTES_MAX + 1);
    for (let i = 0; i < 3; i++) bob.say(`GET ${key}`);
    server.clock.advance(60_001);
    bob.say(`GET ${key}`);
    const entries = replyValue(operator.say("ACL LOG")) as Value[][];
    expect(entries.map(([, count]) => count)).toEqual([1, 3]);
    expect(entries[0]?.[7]).toBe("k".repeat(ACL_LOG_TEXT_BYTES_MAX));
  });

  test("tells which client it was", () => {
    const { operator, bob } = withBob("+client");
    bob.say("CLIENT SETNAME worker");
    bob.say("GET k");
    const [entry] = replyValue(operator.say("ACL LOG 1")) as Value[][];
    expect(entry?.[13]).toMatch(/^id=\d+ addr=127\.0\.0\.1:50000 .*name=worker .*cmd=get user=bob /);
  });
});

test("ACL GENPASS gives as many hexadecimal digits as the bits need", () => {
  const operator = new TestServer().connect();
  for (const [request, digits] of [
    ["ACL GENPASS", 64],
    ["ACL GENPASS 1", 1],
    ["ACL GENPASS 5", 2],
    ["ACL GENPASS 12", 3],
    ["ACL GENPASS 4096", 1024],
  ] as const) {
    expect(replyValue(operator.say(request)), request).toMatch(new RegExp(`^[0-9a-f]{${digits}}$`));
  }
  expect(operator.say("ACL GENPASS")).not.toBe(operator.say("ACL GENPASS"));
});

describe("a user directive of a configuration file", () => {
  test("makes a user, or says what `default` may do instead of what it could", () => {
    const server = new TestServer();
    server.users.define("bob", ["on", ">pw", "+get", "~a*"]);
    server.users.define("default", ["on", ">other", "+ping"]);
    const late = server.connect();
    expect(late.say("AUTH bob pw")).toBe(OK);
    expect(late.say("GET b")).toBe(NO_KEY);
    expect(late.say("AUTH other")).toBe(OK);
    expect(late.say("PING")).toBe(PONG);
    expect(late.say("GET a")).toBe(noCommand("get"));
  });

  test("defines each user once, with rules that can be applied", () => {
    const { users } = new TestServer();
    users.define("bob", []);
    expect(() => users.define("bob", ["on"])).toThrow(
      "Error in user declaration 'bob': Duplicate user found. A user can only be defined once in config files",
    );
    expect(() => users.define("eve", ["on", "nonsense"])).toThrow("Error in user declaration 'eve': Syntax error");
    expect(() => users.define("e v", [])).toThrow(
      "Error in user declaration 'e v': Spaces not allowed in ACL usernames",
    );
    expect(users.get("eve")).toBe(undefined);
  });
});

describe("the file of users", () => {
  const place = (text?: string) => {
    const folder = mkdtempSync(join(tmpdir(), "bitmapist-acl-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "users.acl");
    if (text !== undefined) writeFileSync(file, text, { mode: 0o640 });
    const server = new TestServer();
    server.settings.aclfile = file;
    return { folder, file, server, operator: server.connect() };
  };
  const linesOf = (operator: TestClient) => replyValue(operator.say("ACL LIST")) as string[];

  test("holds what ACL LIST shows, and gives it back", () => {
    const { folder, file, operator } = place();
    operator.say("ACL SETUSER bob on >pw skip-sanitize-payload ~a* %R~r %W~w &c* +@read -get +select|0");
    operator.run("ACL", "SETUSER", "\xe9\xff", "~\xe9*", "+@all");
    operator.say("ACL SETUSER default -debug");
    const lines = linesOf(operator);
    expect(operator.say("ACL SAVE")).toBe(OK);
    expect(readFileSync(file, "latin1")).toBe(lines.map((line) => `${line}\n`).join(""));
    expect(readdirSync(folder)).toEqual(["users.acl"]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    operator.sayAll("ACL DELUSER bob \xe9\xff", "ACL SETUSER default +debug", "ACL SETUSER eve");
    expect(operator.say("ACL LOAD")).toBe(OK);
    expect(linesOf(operator)).toEqual(lines);
  });

  test("keeps its mode, and takes no harm from a SAVE that fails", () => {
    const { file, operator } = place("");
    expect(operator.say("ACL SAVE")).toBe(OK);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    const { server, folder, operator: other } = place();
    server.settings.aclfile = join(folder, "no-folder", "users.acl");
    expect(other.say("ACL SAVE")).toBe(
      "-ERR There was an error trying to save the ACLs. Please check the server logs for more information\r\n",
    );
    expect(server.logged.join("")).toContain("can't write the users to");
    server.settings.aclfile = folder;
    expect(other.say("ACL SAVE")).toMatch(/^-ERR There was an error/);
    expect(readdirSync(folder)).toEqual([]);
    expect(readdirSync(join(folder, "..")).filter((name) => name.startsWith(`${folder}.tmp`))).toEqual([]);
  });

  test("without `default` in it default may do everything, whatever it was before", () => {
    const { operator } = place("user bob on nopass +get\n");
    operator.say("CONFIG SET requirepass pw");
    expect(operator.say("ACL LOAD")).toBe(OK);
    expect(linesOf(operator)).toEqual([
      "user bob on nopass resetchannels -@all +get",
      "user default on nopass ~* &* +@all",
    ]);
  });

  test("ends the connections of all but default, one's own after the reply", () => {
    const { server, operator } = place("user bob on nopass +@all\nuser default on nopass ~* &* +@all -debug\n");
    operator.say("ACL SETUSER bob on nopass +@all");
    const [bob, other] = [server.connect(), server.connect()];
    for (const client of [bob, other]) client.say("AUTH bob x");
    expect(bob.say("ACL LOAD")).toBe(OK);
    expect(bob.client.closing).toBe(true);
    expect(other.isDestroyed).toBe(true);
    expect(operator.isDestroyed).toBe(false);
    expect(operator.client.isUnrestricted).toBe(false);
  });

  const BEHIND = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed\r\n";
  const SHADOWED =
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns";
  const UNKNOWN = "Unknown command or category name in ACL";
  // FILE stands for the path. The texts are what redis-server 7.0.15 answers.
  test.each([
    ["# comment\n\nuser bob on", "FILE:1 should start with user keyword followed by the username. "],
    ["user\n", "FILE:1 should start with user keyword followed by the username. "],
    ["USER bob on\n", "FILE:1 should start with user keyword followed by the username. "],
    ["user bob on\nuser bob off\n", "WARNING: Duplicate user 'bob' found on line 2. "],
    [
      "user bob on\nuse x\nuser z nope\n user y off\n",
      "FILE:2 should start with user keyword followed by the username. FILE:3: Syntax error. ",
    ],
    [
      "user bob +nope +@nope foo +get bar +config|x\n",
      `FILE:1: Error in applying operation '+nope': ${UNKNOWN}. FILE:1: Error in applying operation '+@nope': ${UNKNOWN}. ` +
        `FILE:1: Syntax error. FILE:1: Error in applying operation '+config|x': ${UNKNOWN}. `,
    ],
    ["\n\nuser bob ~x ~*  ~y\n", `FILE:3: ${SHADOWED}. `],
    ['user "b b" on\n', "FILE:1: Syntax error. "],
    ["user  bob on\n", "FILE:1: Syntax error. "],
    [
      "user bob on >pw #x\n",
      "FILE:1: The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters. ",
    ],
  ])("%j is refused whole", (text, reasons) => {
    const { file, operator } = place(text);
    operator.say("ACL SETUSER eve on");
    const before = linesOf(operator);
    expect(operator.say("ACL LOAD")).toBe(`-ERR ${reasons.replaceAll("FILE", file)}${BEHIND}`);
    expect(linesOf(operator)).toEqual(before);
  });

  test.each(["  user bob on   +get \r\n\tuser y +set\n", "user bob on \t+get\nuser y +set"])("%j is taken", (text) => {
    const { operator } = place(text);
    expect(operator.say("ACL LOAD")).toBe(OK);
    expect(linesOf(operator)).toEqual([
      "user bob on resetchannels -@all +get",
      "user default on nopass ~* &* +@all",
      "user y off resetchannels -@all +set",
    ]);
  });

  test("that is not there is an error, and none at all another", () => {
    const { file, server, operator } = place();
    expect(operator.say("ACL LOAD")).toBe(
      `-ERR Error loading ACLs, opening file '${file}': No such file or directory\r\n`,
    );
    server.settings.aclfile = "";
    for (const request of ["ACL LOAD", "ACL SAVE"]) {
      expect(operator.say(request)).toMatch(/^-ERR This Redis instance is not configured to use an ACL file\./);
    }
  });
});

test("a channel is for those who have a pattern that matches it, a pattern for those who have that very one", () => {
  const { server } = withBob("&news.* &ex[ab]ct");
  const bob = server.users.get("bob")!;
  expect(bob.mayUseChannel("news.today", false)).toBe(true);
  expect(bob.mayUseChannel("other", false)).toBe(false);
  expect(bob.mayUseChannel("news.*", true)).toBe(true);
  expect(bob.mayUseChannel("news.today*", true)).toBe(false);
  expect(bob.mayUseChannel("exact", false)).toBe(true);
  expect(bob.mayUseChannel("exact", true)).toBe(false);
  expect(server.users.default.mayUseChannel("*", true)).toBe(true);
});

test("a command's channels are checked as its keys are, and what a key spec calls no key is none", () => {
  const { server } = withBob("&a* ~k");
  const bob = server.users.get("bob")!;
  const row: Command = { ...server.commands.named("auth")!, name: "shout" };
  const object = (changes: Partial<Command>, ...argv: string[]) =>
    denialOf(bob, { ...row, ...changes }, Argv.of("shout", ...argv))?.object;
  const all = { first: 1, last: -1 };
  expect(object({ channels: all }, "a1", "a2")).toBe(undefined);
  expect(object({ channels: all }, "a1", "b1")).toBe("b1");
  expect(object({ channels: { first: 1, last: 1 } }, "a1", "b1")).toBe(undefined);
  expect(object({ channels: { ...all, arePatterns: true } }, "a*", "a1")).toBe("a1");
  expect(object({ keys: [LOOK_AT_KEYS] }, "k", "a1")).toBe("a1");
  expect(object({ keys: [{ first: 1, last: 0, step: 1, flags: ["not_key"] }] }, "a1")).toBe(undefined);
});

test("a password is right when one of several is, and wrong for a user that is off", () => {
  const { server } = withBob("resetpass >one >two");
  const bob = server.users.get("bob")!;
  for (const [password, isRight] of [
    ["one", true],
    ["two", true],
    ["three", false],
    ["", false],
  ] as const) {
    expect(bob.takes(Argv.of(password).bytes(0)), password).toBe(isRight);
  }
  server.users.set("bob", ["off"]);
  expect(bob.takes(Buffer.from("one"))).toBe(false);
});
