/** CONFIG on a server without sockets: many patterns, many pairs, all or nothing, and what a change does. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { DEFAULT_OPTIONS } from "../../../src/options/table.js";
import { readReply } from "../../support/raw-client.js";
import { type TestClient, TestServer } from "./harness.js";

const OK = "+OK\r\n";

/** CONFIG GET's reply as names and values in turn. */
function get(client: TestClient, ...patterns: string[]): string[] {
  const read = readReply(Buffer.from(client.run("CONFIG", "GET", ...patterns), "latin1"));
  if ("need" in read) throw new Error("half a reply");
  return (read.reply.items ?? []).map(({ text }) => text);
}

const failed = (name: string, reason: string) =>
  `-ERR CONFIG SET failed (possibly related to argument '${name}') - ${reason}\r\n`;

describe("CONFIG GET", () => {
  test("takes several patterns and gives each parameter once, a name as it was written", () => {
    const client = new TestServer().connect();
    expect(get(client, "Timeout", "tcp-*", "timeout", "nosuch", "TCP-BACKLOG")).toEqual([
      "Timeout",
      "0",
      "tcp-backlog",
      "4096",
      "tcp-keepalive",
      "300",
    ]);
    expect(get(client, "tcp-[bk]*", "max?lients")).toEqual([
      "tcp-backlog",
      "4096",
      "tcp-keepalive",
      "300",
      "maxclients",
      "10000",
    ]);
  });

  test("is a map in RESP3", () => {
    const client = new TestServer().connect();
    client.say("HELLO 3");
    expect(client.say("CONFIG GET timeout")).toBe("%1\r\n$7\r\ntimeout\r\n$1\r\n0\r\n");
  });

  test("gives the bytes of a path", () => {
    const server = new TestServer();
    server.settings.db = "/dätä/größe.db";
    const bytes = (text: string) => Buffer.from(text).toString("latin1");
    expect(get(server.connect(), "dir", "dbfilename", "db")).toEqual([
      "dir",
      bytes("/dätä"),
      "dbfilename",
      bytes("größe.db"),
      "db",
      bytes("/dätä/größe.db"),
    ]);
  });

  test("knows nothing of what only says how to start", () => {
    const client = new TestServer().connect();
    expect(get(client, "rename-command", "include", "addr")).toEqual([]);
    expect(client.say("CONFIG SET rename-command x")).toBe(
      "-ERR Unknown option or number of arguments for CONFIG SET - 'rename-command'\r\n",
    );
  });
});

describe("CONFIG SET", () => {
  test("sets several at once, and what they do", () => {
    const server = new TestServer();
    const client = server.connect();
    const given = "maxmemory 2mb write-buffer 3mb loglevel warning appendfsync always proto-max-bulk-len 1mb timeout 7";
    expect(client.say(`CONFIG SET ${given} client-query-buffer-limit 5mb`)).toBe(OK);
    expect(server.keyspace.residency.maxBytes).toBe(2 * 1024 ** 2);
    expect(server.saver.bufferBytesMax).toBe(3 * 1024 ** 2);
    expect(server.log.level).toBe("warning");
    expect(server.requestLimits.authenticated).toMatchObject({
      bulkBytesMax: 1024 ** 2,
      bufferBytesMax: 5 * 1024 ** 2,
    });
    expect(server.requestLimits.unauthenticated).toMatchObject({
      bulkBytesMax: 16 * 1024,
      bufferBytesMax: 5 * 1024 ** 2,
    });
    expect(server.settings).toMatchObject({ timeout: 7, appendfsync: "always" });
  });

  test.each([
    ["timeout 5 maxclients x", failed("maxclients", "argument couldn't be parsed into an integer")],
    ["timeout 5 nosuch x", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n"],
    ["timeout x nosuch x", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n"],
    ["timeout 5 TIMEOUT 6", failed("timeout", "duplicate parameter")],
    ["timeout 5 databases 16", failed("databases", "can't set immutable config")],
    ["timeout 5 unixsocket x", failed("unixsocket", "can't set immutable config")],
    ["timeout 5 dir /tmp", failed("dir", "can't set protected config")],
    ["timeout 5 dbfilename x", failed("dbfilename", "can't set protected config")],
    ["timeout 5 maxmemory-policy allkeys-lru", failed("maxmemory-policy", "only 'noeviction' is possible here")],
    ["timeout 5 maxmemory", "-ERR syntax error\r\n"],
  ])("of %j changes nothing", (pairs, error) => {
    const server = new TestServer();
    expect(server.connect().say(`CONFIG SET ${pairs}`)).toBe(error);
    expect(server.settings).toEqual({ ...DEFAULT_OPTIONS, db: "data.db" });
  });

  test("takes the one value of what has one", () => {
    const client = new TestServer().connect();
    expect(client.run("CONFIG", "SET", "save", "", "appendonly", "yes", "maxmemory-policy", "noeviction")).toBe(OK);
  });

  test("changes nothing when an effect fails, also nothing that was named before", () => {
    const server = new TestServer();
    const client = server.connect();
    const seen: string[] = [];
    server.renewTls = () => {
      seen.push(server.settings.tlsCertFile);
      throw new Error("it is no certificate");
    };
    expect(client.say("CONFIG SET maxmemory 5mb tls-cert-file new.pem tls-key-file new.key timeout 5")).toBe(
      failed("tls-cert-file", "Unable to update TLS configuration. Check server logs."),
    );
    expect(seen).toEqual(["new.pem"]);
    expect(server.settings).toEqual({ ...DEFAULT_OPTIONS, db: "data.db" });
    expect(server.keyspace.residency.maxBytes).toBe(0);
    expect(server.logged.join("")).toContain("TLS stays as it was: it is no certificate");
  });

  test("leaves the default user's password when TLS fails beside requirepass", () => {
    const server = new TestServer();
    const client = server.connect();
    client.say("ACL SETUSER default resetpass >secret");
    const users = client.say("ACL LIST");
    server.renewTls = () => {
      throw new Error("no such file");
    };
    for (const pairs of ["requirepass other tls-cert-file gone.pem", "tls-cert-file gone.pem requirepass other"]) {
      expect(client.say(`CONFIG SET ${pairs}`)).toBe(
        failed("tls-cert-file", "Unable to update TLS configuration. Check server logs."),
      );
      expect(client.say("ACL LIST")).toBe(users);
      expect(server.users.isOpen).toBe(false);
      expect(get(client, "requirepass")).toEqual(["requirepass", ""]);
    }
  });

  test("has an effect that several options share once", () => {
    const server = new TestServer();
    let times = 0;
    server.renewTls = () => void times++;
    expect(server.connect().say("CONFIG SET tls-cert-file a tls-key-file b tls-ca-cert-file c")).toBe(OK);
    expect(times).toBe(1);
  });
});

describe("CONFIG REWRITE", () => {
  test("is an error without a file", () => {
    expect(new TestServer().connect().say("CONFIG REWRITE")).toBe(
      "-ERR The server is running without a config file\r\n",
    );
    expect(new TestServer().connect().say("CONFIG REWRITE x")).toBe(
      "-ERR wrong number of arguments for 'config|rewrite' command\r\n",
    );
  });

  test("writes the file, or says why not", () => {
    const folder = mkdtempSync(join(tmpdir(), "bitmapist-config-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const server = new TestServer();
    const client = server.connect();
    server.configFile = join(folder, "test.conf");
    expect(client.say("CONFIG REWRITE")).toMatch(/^-ERR Rewriting config file: can't open .*ENOENT[^\n]*\r\n$/);
    writeFileSync(server.configFile, "db data.db\n# timeout\ntimeout 1\n");
    expect(client.sayAll("CONFIG SET timeout 2", "CONFIG REWRITE")).toEqual([OK, OK]);
    expect(readFileSync(server.configFile, "utf8")).toBe(
      "db data.db\n# timeout\ntimeout 2\n\n# Generated by CONFIG REWRITE\nuser default on nopass ~* &* +@all\n",
    );
  });
});

test("CONFIG HELP names the subcommands", () => {
  const help = new TestServer().connect().say("CONFIG HELP");
  for (const name of ["GET", "SET", "RESETSTAT", "REWRITE", "HELP"]) expect(help).toContain(`+${name}`);
});
