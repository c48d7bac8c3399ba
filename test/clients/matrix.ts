/**
 * The clients that every build is tested with, and what each of them is asked to do: by a small program of its own in its own language,
 * in programs/. A program gets a transport (tcp, tls or unix), a port or a path, the file of a certificate authority, and a protocol
 * (default, 2 or 3). It compares every reply, prints `version` and its client's version, `ok` and the name of each step that went well,
 * and at last `self` and what CLIENT INFO says; where something is wrong, it says so on stderr and ends with another code than 0.
 */
import { fileURLToPath } from "node:url";
import { answers, findPythonWithRedis, findTool } from "../support/tools.js";

/** Something that every client is asked to do. */
export interface Step {
  readonly name: string;
  readonly what: string;
  /** What the server has been sent when the step has been done. */
  readonly commands: readonly string[];
}

export const SCENARIO: readonly Step[] = [
  {
    name: "bits",
    what: "SETBIT, GETBIT and BITCOUNT of bits near and far",
    commands: ["setbit", "getbit", "bitcount"],
  },
  { name: "bitop", what: "BITOP of two strings, and its result by GET", commands: ["bitop", "get"] },
  {
    name: "bytes",
    what: "SET and GET of a key and a value that have every byte, and GET of a missing key",
    commands: ["set", "get"],
  },
  { name: "deadlines", what: "EXPIRE, TTL and PERSIST", commands: ["expire", "ttl", "persist"] },
  { name: "keys", what: "KEYS, a SCAN to its end, and DEL of several keys", commands: ["mset", "keys", "scan", "del"] },
  { name: "transaction", what: "MULTI and EXEC in the client's own way", commands: ["multi", "exec"] },
  { name: "pipeline", what: "a thousand SETBIT in one pipeline", commands: ["setbit"] },
  { name: "error", what: "an error reply, word by word, and a PING after it", commands: ["ping"] },
  {
    name: "channels",
    what: "SUBSCRIBE on a second connection, and PUBLISH of a message of bytes to it",
    commands: ["subscribe", "publish"],
  },
];

/** The tests that redis-benchmark makes by default and that are of strings. */
export const BENCHMARK: readonly Step[] = ["ping_inline", "ping_mbulk", "set", "get", "incr", "mset"].map((name) => ({
  name,
  what: `redis-benchmark -t ${name}`,
  commands: [name.replace(/_.*/, "")],
}));

export const TRANSPORTS = { tcp: "TCP", tls: "TLS", unix: "unix socket" } as const;
export type Transport = keyof typeof TRANSPORTS;
export type Protocol = "default" | "2" | "3";
type Ability = "RESP2" | "RESP3" | (typeof TRANSPORTS)[Transport];

export interface Client {
  readonly name: string;
  /** Where it comes from: a package of npm or Debian. */
  readonly source: string;
  /** The file in programs/. */
  readonly program: string;
  /** What runs the program; undefined where the client is not installed. */
  readonly command: readonly string[] | undefined;
  /** How to compile the program, where it must be: the compiler's command line but for source and target. */
  readonly compiler?: readonly string[];
  /** The protocols that one may ask it for; each is also run with its default. */
  readonly protocols: readonly Protocol[];
  readonly transports: readonly Transport[];
  /** What it can't do, and why. */
  readonly cannot: Partial<Record<Ability, string>>;
  readonly steps: readonly Step[];
}

const ALL_TRANSPORTS: readonly Transport[] = ["tcp", "tls", "unix"];
const ONLY_DEFAULT: readonly Protocol[] = ["default"];
const ALL_PROTOCOLS: readonly Protocol[] = ["default", "2", "3"];

const USUAL = { protocols: ONLY_DEFAULT, transports: ALL_TRANSPORTS, cannot: {}, steps: SCENARIO } as const;

/** The path of a file in programs/. */
export function programPath(program: string): string {
  return fileURLToPath(new URL(`programs/${program}`, import.meta.url));
}

function npm(name: string, major: number, library: string): Pick<Client, "name" | "source" | "program" | "command"> {
  const program = `${name}.mjs`;
  const source = `npm ${name === "node-redis" ? "redis" : name}@${major}`;
  return {
    name: `${name} ${major}`,
    source,
    program,
    command: [process.execPath, programPath(program), library],
  };
}

/** A client that a Debian package brings; `probe` are arguments with which the interpreter ends well where the client is there. */
function debian(
  name: string,
  packageName: string,
  program: string,
  interpreter: string,
  probe: readonly string[],
  args: readonly string[] = [],
): Pick<Client, "name" | "source" | "program" | "command"> {
  const found = findTool(interpreter, probe, `${name} is not installed (Debian: ${packageName})`);
  const command = found === undefined ? undefined : [found, programPath(program), ...args];
  return { name, source: `Debian ${packageName}`, program, command };
}

function redisPy(): Client {
  const python = findPythonWithRedis();
  const program = "redis-py.py";
  return {
    ...USUAL,
    name: "redis-py",
    source: "Debian python3-redis",
    program,
    // -B: no __pycache__ in the sources.
    command: python === undefined ? undefined : [python, "-B", programPath(program)],
    cannot: { RESP3: "since redis-py 5, by `protocol=3`" },
  };
}

/** Version 1.0 has brought TLS, in a library of its own, and RESP3. */
function hiredis(): Client {
  const including = (header: string) => ["-E", "-include", header, "-x", "c", "/dev/null"];
  const name = "hiredis";
  const reason = `${name} is not installed (Debian: libhiredis-dev, gcc)`;
  const compiler = findTool("cc", including("hiredis/hiredis.h"), reason);
  const isNew = answers("cc", including("hiredis/hiredis_ssl.h"));
  const libraries = isNew ? ["-DWITH_SSL", "-lhiredis_ssl"] : [];
  return {
    ...USUAL,
    name,
    source: "Debian libhiredis-dev",
    program: "hiredis.c",
    command: compiler === undefined ? undefined : ["./hiredis"],
    compiler: ["-Wall", "-Wextra", "-Werror", ...libraries, "-lhiredis"],
    protocols: isNew ? ALL_PROTOCOLS : ONLY_DEFAULT,
    transports: isNew ? ALL_TRANSPORTS : ["tcp", "unix"],
    cannot: isNew ? {} : { RESP3: "since hiredis 1.0, by HELLO", TLS: "since hiredis 1.0, in libhiredis_ssl" },
  };
}

const NOT_KNOWN = { RESP3: "this version does not know it" };

export const CLIENTS: readonly Client[] = [
  { ...USUAL, ...npm("node-redis", 4, "node-redis-4"), cannot: { RESP3: "since node-redis 5" } },
  { ...USUAL, ...npm("node-redis", 5, "node-redis-5"), protocols: ALL_PROTOCOLS },
  { ...USUAL, ...npm("node-redis", 6, "redis"), protocols: ALL_PROTOCOLS },
  { ...USUAL, ...npm("ioredis", 5, "ioredis-5"), cannot: { RESP3: "since ioredis 6" } },
  { ...USUAL, ...npm("ioredis", 6, "ioredis"), protocols: ALL_PROTOCOLS },
  redisPy(),
  hiredis(),
  {
    ...USUAL,
    ...debian("phpredis", "php-cli, php-redis", "phpredis.php", "php", [
      "-r",
      "exit((int)!extension_loaded('redis'));",
    ]),
    cannot: NOT_KNOWN,
  },
  {
    ...USUAL,
    ...debian("Predis", "php-cli, php-predis", "predis.php", "php", ["-r", "require 'Predis/Autoloader.php';"]),
    cannot: NOT_KNOWN,
  },
  {
    ...USUAL,
    ...debian("redis-rb", "ruby, ruby-redis", "redis-rb.rb", "ruby", ["-e", "require 'redis'"]),
    cannot: NOT_KNOWN,
  },
  {
    ...USUAL,
    ...debian(
      "Redis.pm",
      "libredis-perl, libio-socket-ssl-perl",
      "redis-perl.pl",
      "perl",
      ["-MRedis", "-MIO::Socket::SSL", "-e1"],
      ["Redis"],
    ),
    cannot: NOT_KNOWN,
  },
  {
    ...USUAL,
    ...debian(
      "Redis::Fast",
      "libredis-fast-perl, libio-socket-ssl-perl",
      "redis-perl.pl",
      "perl",
      ["-MRedis::Fast", "-MIO::Socket::SSL", "-e1"],
      ["Redis::Fast"],
    ),
    transports: ["tcp", "unix"],
    cannot: { ...NOT_KNOWN, TLS: "it has no option for it" },
  },
  {
    ...USUAL,
    ...debian("redis-lua", "lua5.1, lua-redis", "redis-lua.lua", "lua5.1", ["-e", "require 'redis'"]),
    transports: ["tcp", "unix"],
    cannot: { ...NOT_KNOWN, TLS: "it has no option for it" },
  },
  {
    ...USUAL,
    ...debian("redis-cli", "redis-tools", "redis-cli.sh", "bash", ["-c", "redis-cli --version"]),
    protocols: ALL_PROTOCOLS,
  },
  {
    ...USUAL,
    ...debian("redis-benchmark", "redis-tools", "redis-benchmark.sh", "bash", ["-c", "redis-benchmark --version"]),
    protocols: ["default", "3"],
    steps: BENCHMARK,
  },
];
