/** Configuration files: what is read of them, how mistakes are told, and what CONFIG REWRITE leaves of them. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { INCLUDE_DEPTH_MAX } from "../../../src/config.js";
import { StartError } from "../../../src/errors.js";
import { type Configuration, readConfigFile, rewriteConfigFile } from "../../../src/options/file.js";
import { DEFAULT_OPTIONS, type ServerOptions } from "../../../src/options/table.js";

/** A file of these lines in a folder of its own. */
function fileOf(...lines: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "bitmapist-config-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "test.conf");
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""), "latin1");
  return path;
}

function read(path: string): Configuration {
  const configuration = { options: { ...DEFAULT_OPTIONS }, withoutEffect: new Set<string>() };
  readConfigFile(configuration, path);
  return configuration;
}

function mistakeIn(path: string): string {
  try {
    read(path);
  } catch (error) {
    if (error instanceof StartError) return error.message.replaceAll(path, "FILE");
    throw error;
  }
  return "no mistake";
}

describe("reading", () => {
  test("takes directives in any case, comments, blanks, quotes, and line ends of other systems", () => {
    const path = fileOf(
      "# timeout 1",
      "",
      "  TIMEOUT   5\t",
      '\tdb "a b"',
      "maxmemory 1gb\r",
      "bind 127.0.0.1 -::1",
      "timeout 6",
    );
    expect(read(path).options).toEqual({
      ...DEFAULT_OPTIONS,
      timeout: 6,
      db: "a b",
      maxmemory: 1024 ** 3,
      bind: ["127.0.0.1", "-::1"],
    });
  });

  test("adds up what may be there several times", () => {
    const path = fileOf(
      'rename-command FLUSHALL ""',
      "rename-command GET fetch",
      "client-output-buffer-limit normal 1 2 3",
      "client-output-buffer-limit pubsub 4 5 6",
    );
    expect(read(path).options).toMatchObject({
      renameCommand: [
        { from: "FLUSHALL", to: "" },
        { from: "GET", to: "fetch" },
      ],
      clientOutputBufferLimit: {
        normal: { hardBytes: 1, softBytes: 2, softSeconds: 3 },
        slave: DEFAULT_OPTIONS.clientOutputBufferLimit.slave,
        pubsub: { hardBytes: 4, softBytes: 5, softSeconds: 6 },
      },
    });
  });

  test("names what has no effect, once", () => {
    const path = fileOf(
      "save 3600 1",
      "save 300 100",
      "Cluster-Enabled no",
      "hash-max-listpack-entries 5",
      "timeout 1",
    );
    expect([...read(path).withoutEffect].sort()).toEqual(["cluster-enabled", "hash-max-listpack-entries", "save"]);
  });

  test("keeps bytes that are no text where a password is bytes, and reads a path as UTF-8", () => {
    const path = fileOf('requirepass "\\xff\\x00"', "requirepass \xe4", "db d\xc3\xa4ta.db");
    expect(read(path).options).toMatchObject({ requirepass: "\xe4", db: "däta.db" });
  });

  test.each([
    [["", "nonsense 5"], 2, "nonsense 5", "Bad directive or wrong number of arguments"],
    [["loadmodule m.so"], 1, "loadmodule m.so", "Bad directive or wrong number of arguments"],
    [["replicaof host"], 1, "replicaof host", "wrong number of arguments"],
    [["slaveof host 65536"], 1, "slaveof host 65536", "Invalid master port"],
    [["# c", "maxmemory 1x"], 2, "maxmemory 1x", "argument must be a memory value"],
    [["  port "], 1, "port", "wrong number of arguments"],
    [["timeout 5 # five"], 1, "timeout 5 # five", "wrong number of arguments"],
    [['timeout "5'], 1, 'timeout "5', "Unbalanced quotes in configuration line"],
    [["include a b"], 1, "include a b", "Bad directive or wrong number of arguments"],
    [
      ["db ä"].map((line) => Buffer.from(line).toString("latin1")).concat("port x"),
      2,
      "port x",
      "argument couldn't be parsed into an integer",
    ],
  ])("tells the file, the line and the mistake of %j", (lines, number, line, mistake) => {
    expect(mistakeIn(fileOf(...lines))).toMatch(
      new RegExp(
        `^\\*\\*\\* FATAL CONFIG FILE ERROR \\(bitmapist-server [0-9.]+\\) \\*\\*\\*\n` +
          `Reading the configuration file FILE, at line ${number}\n`,
      ),
    );
    expect(mistakeIn(fileOf(...lines))).toContain(`\n>>> '${line}'\n${mistake}`);
  });

  test("a file that is not there is told", () => {
    expect(mistakeIn("/no/such.conf")).toMatch(/^can't open config file 'FILE': ENOENT/);
    const path = fileOf("include /no/such.conf");
    expect(mistakeIn(path)).toMatch(/^can't open config file '\/no\/such.conf': ENOENT/);
  });
});

describe("include", () => {
  test("reads the other file at its place, and tells mistakes in it by its own name and line", () => {
    const other = fileOf("timeout 7", "tcp-keepalive 8");
    const path = fileOf("timeout 1", `include ${other}`, "tcp-keepalive 9");
    expect(read(path).options).toMatchObject({ timeout: 7, tcpKeepalive: 9 });
    writeFileSync(other, "\n\ntimeout x\n");
    expect(mistakeIn(path)).toContain(`Reading the configuration file ${other}, at line 3\n`);
  });

  test("ends where files include themselves", () => {
    const path = fileOf("timeout 1");
    writeFileSync(path, `include ${path}\n`);
    expect(mistakeIn(path)).toContain(`more than ${INCLUDE_DEPTH_MAX} files include each other`);
  });
});

describe("CONFIG REWRITE", () => {
  /** The file after a rewrite with the options that it gave and these changes. */
  function rewritten(path: string, changes: Partial<ServerOptions>): string[] {
    const options = { ...read(path).options, ...changes };
    rewriteConfigFile(path, options);
    expect(read(path).options).toEqual(options);
    return readFileSync(path, "latin1").split("\n");
  }

  test("leaves a file alone that says what holds", () => {
    const lines = ["# c", "  Timeout   5", "", "save 60 1", "maxmemory 1048576", 'db "x"'];
    expect(rewritten(fileOf(...lines), {})).toEqual([...lines, ""]);
  });

  test("changes what has changed in its place, and puts at the end what was not there", () => {
    const path = fileOf("# first", "timeout 5", "", "include-less # no", "# last");
    writeFileSync(path, '# first\ntimeout 5\n\nsave 60 1\nrename-command FLUSHALL ""\n# last\n');
    expect(rewritten(path, { timeout: 6, maxmemory: 3072, requirepass: "a b\xff" })).toEqual([
      "# first",
      "timeout 6",
      "",
      "save 60 1",
      'rename-command FLUSHALL ""',
      "# last",
      "",
      "# Generated by CONFIG REWRITE",
      "maxmemory 3kb",
      'requirepass "a b\\xff"',
      "",
    ]);
    // The second time there is a heading, and what was added has a place.
    expect(rewritten(path, { maxmemory: 0, maxclients: 7 }).slice(7)).toEqual([
      "# Generated by CONFIG REWRITE",
      "maxmemory 0",
      'requirepass "a b\\xff"',
      "maxclients 7",
      "",
    ]);
  });

  test("writes an option that was there several times once, and of several lines whole", () => {
    const path = fileOf("timeout 1", "port 7", "timeout 2", "client-output-buffer-limit pubsub 1 2 3", "TIMEOUT 3");
    const limits = {
      ...DEFAULT_OPTIONS.clientOutputBufferLimit,
      pubsub: { hardBytes: 0, softBytes: 0, softSeconds: 0 },
    };
    expect(rewritten(path, { timeout: 9, clientOutputBufferLimit: limits })).toEqual([
      "timeout 9",
      "port 7",
      "client-output-buffer-limit normal 256mb 0 0",
      "client-output-buffer-limit slave 256mb 64mb 60",
      "client-output-buffer-limit pubsub 0 0 0",
      "",
    ]);
  });

  test("writes the ends of 64 bits so that they are read again", () => {
    const path = fileOf("acllog-max-len 9223372036854775807");
    const read64 = read(path).options.acllogMaxLen;
    expect(rewritten(path, { slowlogMaxLen: read64, latencyMonitorThreshold: 2 ** 62 })).toEqual([
      "acllog-max-len 9223372036854775807",
      "",
      "# Generated by CONFIG REWRITE",
      "slowlog-max-len 9223372036854775807",
      "latency-monitor-threshold 4611686018427387904",
      "",
    ]);
  });

  test("puts behind an included file what that says otherwise, and does not touch it", () => {
    const other = fileOf("timeout 7", "maxclients 70");
    const path = fileOf("timeout 1", `include ${other}`);
    expect(rewritten(path, { timeout: 8 })).toEqual([
      "timeout 8",
      `include ${other}`,
      "",
      "# Generated by CONFIG REWRITE",
      "timeout 8",
      "",
    ]);
    expect(readFileSync(other, "utf8")).toBe("timeout 7\nmaxclients 70\n");
  });

  test("writes users where the first of them was, and refuses where an included file has some", () => {
    const user = [
      { name: "default", rules: ["on", "nopass"] },
      { name: "", rules: ['~a"b'] },
    ];
    const path = fileOf("user alice on >old", "timeout 5", "USER bob on");
    const lines = ["user default on nopass", 'user "" "~a\\"b"', "timeout 5", ""];
    expect(rewritten(path, { user })).toEqual(lines);
    expect(rewritten(path, { user })).toEqual(lines);

    const other = fileOf("user eve on");
    const including = fileOf(`include ${other}`);
    expect(() => rewriteConfigFile(including, { ...read(including).options, user })).toThrow(
      "an included file, which stays as it is, has users",
    );
    expect(readFileSync(including, "utf8")).toBe(`include ${other}\n`);
  });

  test("takes a file whose last line has no end, and one that is empty", () => {
    const path = fileOf();
    writeFileSync(path, "timeout 5");
    expect(rewritten(path, { maxclients: 6 })).toEqual([
      "timeout 5",
      "",
      "# Generated by CONFIG REWRITE",
      "maxclients 6",
      "",
    ]);
    expect(rewritten(fileOf(), { timeout: 6 }).at(-2)).toBe("timeout 6");
  });

  test("keeps who may read it, follows a link, and leaves nothing beside it", () => {
    const path = fileOf("timeout 5");
    chmodSync(path, 0o640);
    const link = `${path}.link`;
    symlinkSync(path, link);
    rewriteConfigFile(link, { ...DEFAULT_OPTIONS, timeout: 6 });
    expect(readFileSync(path, "utf8")).toBe("timeout 6\n");
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(join(path, "..")).sort()).toEqual(["test.conf", "test.conf.link"]);
  });

  test("says why it can't be done, and leaves the file", () => {
    const path = fileOf("timeout 5");
    const missing = join(path, "..", "gone.conf");
    expect(() => rewriteConfigFile(missing, { ...DEFAULT_OPTIONS })).toThrow(/ENOENT/);
    mkdirSync(`${path}.${process.pid}.tmp`);
    expect(() => rewriteConfigFile(path, { ...DEFAULT_OPTIONS, timeout: 6 })).toThrow(/EISDIR/);
    expect(readFileSync(path, "utf8")).toBe("timeout 5\n");
    writeFileSync(path, "timeout x\n");
    expect(() => rewriteConfigFile(path, { ...DEFAULT_OPTIONS, timeout: 6 })).toThrow(/at line 1/);
  });
});
