/** `--aclfile`: who may come in is known after a restart, and a file that can't be understood keeps the server from starting. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ask } from "../support/ask.js";
import { sandbox } from "../support/server-process.js";

const BEHIND = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";

test("what ACL SAVE has written is true after kill -9", async () => {
  const place = sandbox();
  writeFileSync(place.path("users.acl"), "");
  const args = ["--aclfile", "users.acl"];
  const first = await place.start({ args });
  const operator = await first.connect();
  expect(await ask(operator, "CONFIG", "GET", "aclfile")).toEqual(["aclfile", "users.acl"]);
  await ask(operator, "ACL", "SETUSER", "bob", "on", ">pw of bob", "~a*", "+@read");
  await ask(operator, "ACL", "SETUSER", "default", "resetpass", ">pw");
  await ask(operator, "ACL", "SAVE");
  await ask(operator, "ACL", "SETUSER", "eve", "on");
  const saved = readFileSync(place.path("users.acl"), "latin1");
  expect(saved).not.toMatch(/pw|eve/);
  await first.kill();

  const second = await place.start({ args });
  const client = await second.connect();
  expect(await client.call("PING")).toBe("-NOAUTH Authentication required.\r\n");
  await ask(client, "AUTH", "bob", "pw of bob");
  expect(await ask(client, "GET", "a1")).toBe(null);
  expect(await client.call("GET", "b1")).toMatch(/^-NOPERM/);
  expect(await client.call("SET", "a1", "x")).toMatch(/^-NOPERM/);
  await ask(client, "AUTH", "pw");
  expect(await ask(client, "ACL", "LIST")).toEqual(saved.trimEnd().split("\n"));
  await second.stop();
});

test.each([
  ["is missing", undefined, "Error loading ACLs, opening file 'users.acl': No such file or directory"],
  [
    "has mistakes",
    "user default off\nuser bob on >secret-word nonsense\nxx\n",
    `users.acl:2: Syntax error. users.acl:3 should start with user keyword followed by the username. ${BEHIND}`,
  ],
])("a file that %s keeps the server from starting", async (_what, text, message) => {
  const place = sandbox();
  if (text !== undefined) writeFileSync(place.path("users.acl"), text);
  const finished = await place.run(["--addr", "127.0.0.1:0", "--db", ":memory:", "--aclfile", "users.acl"]);
  expect(finished.code).toBe(1);
  expect(finished.stderr).toContain(message);
  expect(finished.stderr).not.toContain("secret-word");
});

test("--requirepass beside it has no effect, and the log says so", async () => {
  const place = sandbox();
  writeFileSync(place.path("users.acl"), "user bob on\n");
  const server = await place.start({ args: ["--aclfile", "users.acl", "--requirepass", "pw"] });
  await server.logged(/--requirepass has no effect beside --aclfile/);
  expect(await ask(await server.connect(), "ACL", "WHOAMI")).toBe("default");
  await server.stop();
});
