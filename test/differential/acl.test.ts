/**
 * Users and their rules on this server and on a real redis-server 7: scenes in which every reply must be the same to the byte, and random
 * rules. How the rules of commands are shown is not compared as text, for Redis 7.0 works them out of what they come to, over a table with
 * more commands (since 7.2 it shows them as they were given, and so do we): instead our text is given to Redis, which must then show what
 * it shows of the user to which the rules were given one by one.
 *
 *   DIFF_RUNS=20000   how many runs in all (default: some seconds of them)
 *   DIFF_SEED=...     the seed a failure printed
 */
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { CATEGORIES } from "../../src/commands/command.js";
import { COMMAND_TABLE } from "../../src/commands/table.js";
import { replyValue, type Value } from "../support/ask.js";
import { ConnectionClosed, RawClient } from "../support/raw-client.js";
import { RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { startOurs } from "./ours.js";
import { startRedis } from "./redis.js";
import type { Target } from "./runner.js";
import { START_MS } from "./steps.js";

const RUNS = Number(process.env.DIFF_RUNS ?? 600);
const SEED = process.env.DIFF_SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.DIFF_SEED);
const TIMEOUT_MS = 60_000 + RUNS * 100;

sayRedisMissing("users and their rules compared with a live redis-server");

/** Connections by name, made when they are first spoken of. */
class Stage {
  readonly #target: Target;
  readonly #clients = new Map<string, RawClient>();

  constructor(target: Target) {
    this.#target = target;
  }

  /** A line is `connection> request`, words between single spaces; `+1500` lets the clock go on by so many milliseconds. */
  async play(lines: readonly string[]): Promise<string[]> {
    const replies: string[] = [];
    let now = START_MS;
    for (const line of lines) {
      if (line.startsWith("+")) {
        now += Number(line);
        this.#target.setClock(now);
        continue;
      }
      const [name = "", request = ""] = line.split("> ");
      replies.push(`${line}  ${await this.call(name, ...words(request))}`);
    }
    this.#target.setClock(START_MS);
    return replies;
  }

  async call(name: string, ...argv: string[]): Promise<string> {
    const client = this.#clients.get(name) ?? (await RawClient.connect(this.#target.port));
    this.#clients.set(name, client);
    try {
      return comparable(await client.call(...argv));
    } catch (error) {
      if (error instanceof ConnectionClosed) return "<closed>";
      throw error;
    }
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

/** `""` is the empty word, `\0` a NUL, `_` a space. */
function words(request: string): string[] {
  return request.split(" ").map((word) => (word === '""' ? "" : word.replaceAll("\\0", "\0").replaceAll("\\_", " ")));
}

/** Without the connection's number, and of what CLIENT LIST says only what the client itself has made so. */
function comparable(reply: string): string {
  return reply
    .replace(/(\$2\r\nid\r\n):\d+/, "$1<id>")
    .replace(/\$\d+\r\n(id=\d+ addr=[^\r]*)\r\n/g, (_, info: string) => {
      const fields = info
        .trim()
        .split(" ")
        .filter((field) => /^(?:name|db|multi|cmd|user|resp|flags)=/.test(field));
      return fields.join(" ");
    });
}

const SCENES: Readonly<Record<string, readonly string[]>> = {
  "rules one by one, and what is wrong with them": [
    ..."foo + - +nope -nope +get|x +config|nope -config|nope -get|foo +config|get|x -config|get|x +@nope -@nope +@ +|get +| +config| -config|"
      .split(" ")
      .map((rule) => `a> ACL SETUSER x ${rule}`),
    ..."~ % %R %RX~a %~a %R~ %RW~ %WR~a %rw~a %W~a %RR~a ~a\\_b ~a\\0b %R~a\\_b & &x &a\\_b > >a\\_b <nope !nope #nope ON ON\\_ OFF NOPASS"
      .split(" ")
      .map((rule) => `a> ACL SETUSER x ${rule}`),
    "a> ACL GETUSER x",
    ..."ResetPass >p <p <p allkeys ~x %R~x %X~x ~* %RW~* resetkeys %RW~* ~x %R~* resetkeys ALLCHANNELS &y &* resetchannels &z"
      .split(" ")
      .map((rule) => `a> ACL SETUSER x ${rule}`),
    "a> ACL GETUSER x",
    ..."reset Sanitize-Payload skip-sanitize-payload clearselectors +GET +@READ ALLCOMMANDS nocommands +@ALL -@all constructor toString"
      .split(" ")
      .flatMap((rule) => [`a> ACL SETUSER x ${rule}`, "a> ACL GETUSER x"]),
    `a> ACL SETUSER x #${"a".repeat(64)} #${"a".repeat(64)} !${"b".repeat(64)}`,
    `a> ACL SETUSER x #${"a".repeat(64)} #${"a".repeat(64)}`,
    `a> ACL SETUSER x #${"A".repeat(64)}`,
    `a> ACL SETUSER x !${"a".repeat(64)} >p >q >p`,
    "a> ACL LIST",
    "a> HELLO 3",
    "a> ACL GETUSER x",
    "a> ACL GETUSER default",
    "a> ACL GETUSER nobody",
  ],
  "users come and go": [
    "a> ACL",
    "a> ACL NOPE",
    "a> ACL SETUSER",
    "a> ACL SETUSER a\\_b",
    "a> ACL SETUSER a\\0b on",
    'a> ACL SETUSER ""',
    "a> ACL USERS",
    'a> ACL DELUSER ""',
    "a> ACL SETUSER default nope",
    "a> ACL DELUSER",
    "a> ACL DELUSER default",
    "a> ACL DELUSER nobody default",
    "a> ACL DELUSER nobody",
    "a> ACL SETUSER z1 +get nope +set",
    "a> ACL SETUSER Zoe on",
    "a> ACL SETUSER bob on >pw +@all ~*",
    "a> ACL SETUSER bob -info nope",
    "a> ACL USERS",
    "a> ACL LIST",
    "a> ACL GETUSER bob",
    "b> AUTH bob pw",
    "b> ACL WHOAMI",
    "c> AUTH bob pw",
    "c> PING",
    "c> CLIENT INFO",
    "b> MULTI",
    "b> PING",
    "a> ACL SETUSER bob off",
    "c> PING",
    "d> AUTH bob pw",
    "a> ACL DELUSER bob Zoe bob",
    "b> EXEC",
    "c> PING",
    "a> ACL SETUSER me on nopass +@all ~*",
    "e> AUTH me whatever",
    "e> ACL DELUSER me",
    "e> PING",
    "a> ACL LIST x",
    "a> ACL SAVE",
    "a> ACL LOAD",
    "a> CONFIG GET aclfile",
    "a> CONFIG GET acllog-max-len",
    "a> CONFIG GET acl-pubsub-default",
    "a> CONFIG SET aclfile x",
    "a> CONFIG SET acllog-max-len x",
    "a> CONFIG SET acllog-max-len -1",
    "a> CONFIG SET acl-pubsub-default x",
    "a> CONFIG SET acl-pubsub-default AllChannels",
    "a> ACL SETUSER new",
    "a> ACL SETUSER new reset",
    "a> ACL LIST",
    "a> CONFIG SET acl-pubsub-default resetchannels",
  ],
  "logging in": [
    "a> ACL SETUSER bob on >pw ~* +@all",
    "b> AUTH",
    "b> AUTH bob no",
    "b> AUTH nobody x",
    "b> AUTH x",
    "b> AUTH a\\_b x",
    "b> AUTH a b c",
    "b> HELLO 3 AUTH bob no",
    "b> HELLO 2 AUTH bob pw SETNAME b",
    "b> ACL WHOAMI",
    "b> CLIENT INFO",
    "b> AUTH default anything",
    "b> ACL WHOAMI",
    "b> auth bob pw",
    "b> RESET",
    "b> ACL WHOAMI",
    "a> ACL LOG",
    "a> ACL LOG RESET",
  ],
  "requirepass is the default user's password": [
    "a> CONFIG SET requirepass foo",
    "a> ACL LIST",
    "a> ACL GETUSER default",
    "a> CONFIG GET requirepass",
    "a> ACL SETUSER default >bar",
    "a> CONFIG GET requirepass",
    "a> ACL LIST",
    "b> PING",
    "b> ACL WHOAMI",
    "b> HELLO",
    "b> AUTH baz",
    "b> AUTH default baz",
    "b> AUTH foo",
    "b> PING",
    "b> RESET",
    "b> PING",
    "b> AUTH default bar",
    "b> PING",
    "c> HELLO 3",
    "c> HELLO 2 AUTH default bar",
    "d> PING",
    'a> CONFIG SET requirepass ""',
    "a> ACL LIST",
    "d> PING",
    "d> HELLO",
    "a> CONFIG SET requirepass zz",
    "d> PING",
    "a> PING",
    "a> ACL SETUSER default nopass",
    "a> CONFIG GET requirepass",
    "a> AUTH x",
    "a> AUTH default x",
    "d> PING",
    "a> ACL SETUSER default resetpass",
    "a> CONFIG GET requirepass",
    "d> PING",
    "e> AUTH x",
    "a> ACL SETUSER default on nopass off",
    "a> PING",
    "e> PING",
    "e> AUTH x",
    "e> AUTH default x",
    "a> ACL SETUSER default on",
    'a> CONFIG SET requirepass ""',
  ],
  "what is not permitted": [
    "a> ACL SETUSER bob on >pw ~a* +@all -@dangerous -watch resetchannels",
    "b> AUTH bob pw",
    "b> GET b",
    "b> FLUSHALL",
    "b> flushall",
    "b> GET b\\_c",
    "b> CONFIG GET x",
    "b> Client LIST",
    "b> WATCH b",
    "b> MSET a 1 b 2",
    "b> MSET a 1 ab 2",
    "b> get b",
    "b> NOPE",
    "b> GET",
    "b> OBJECT ENCODING b",
    "b> OBJECT",
    "b> SETBIT b 1 1",
    "b> SETBIT a 1 1",
    "b> BITOP OR a b",
    "b> SAVE",
    "b> MULTI",
    "b> GET b",
    "b> FLUSHALL",
    "b> SAVE",
    "b> EXEC",
    "b> MULTI",
    "b> SET a 1",
    "b> TTL ab",
    "b> SELECT 1",
    "b> ACL WHOAMI",
    "a> ACL SETUSER bob resetkeys ~b* -ttl",
    "b> EXEC",
    "b> SELECT 0",
    "b> CLIENT INFO",
    "a> ACL SETUSER bob -exec",
    "b> MULTI",
    "b> EXEC",
    "b> PING",
    "a> ACL LOG 100",
    "a> ACL SETUSER bob -@all",
    "b> PING",
    "b> MULTI",
    "b> AUTH default x",
    "b> PING",
    "a> ACL LOG RESET",
  ],
  "the log": [
    "a> ACL LOG x",
    "a> ACL LOG 1 2",
    "a> ACL LOG RESET x",
    "a> ACL LOG",
    ...Array.from({ length: 15 }, (_, i) => `b> AUTH u${i} x`),
    "b> AUTH u0 x",
    "b> AUTH u14 x",
    "a> ACL LOG",
    "a> ACL LOG 20",
    "a> ACL LOG 0",
    "a> ACL LOG -5",
    "a> ACL LOG 99999999999999999999",
    "+60000",
    "b> AUTH u14 x",
    "+60500",
    "b> AUTH u14 x",
    "+1500",
    "a> ACL LOG 3",
    "a> HELLO 3",
    "a> ACL LOG 3",
    "a> CONFIG SET acllog-max-len 2",
    "a> CONFIG GET acllog-max-len",
    "a> ACL LOG 4",
    "b> AUTH u3 x",
    "a> ACL LOG",
    "a> CONFIG SET acllog-max-len 0",
    "b> AUTH u4 x",
    "a> ACL LOG",
    "a> CONFIG SET acllog-max-len 128",
    "b> MULTI",
    "b> AUTH u5 x",
    "b> EXEC",
    "a> ACL LOG",
    "a> ACL LOG Reset",
  ],
  DRYRUN: [
    "a> ACL SETUSER bob ~a* %R~r* %W~w* +@read +@write -getex +multi +exec +config|get +select|0 +GET|a1",
    "a> ACL DRYRUN nope get a",
    "a> ACL DRYRUN bob nope a",
    "a> ACL DRYRUN bob post a",
    "a> ACL DRYRUN bob get",
    "a> ACL DRYRUN bob GETEX a",
    "a> ACL DRYRUN bob config set a b",
    "a> ACL DRYRUN bob CONFIG GET a",
    "a> ACL DRYRUN bob config|get a",
    "a> ACL DRYRUN bob config nope a",
    "a> ACL DRYRUN bob config",
    "a> ACL DRYRUN bob select 0",
    "a> ACL DRYRUN bob select 1",
    ...[
      ..."get r1,get w1,set w1 x,set r1 x,set w1 x get,append w1 x,setex w1 1 x,getset w1 x,strlen w1,exists w1".split(
        ",",
      ),
      ..."copy r1 w1,copy w1 r1,rename r1 w1,rename w1 a,bitop and w1 r1 a1,bitop and w1 w1,bitop and r1 r1".split(","),
      ..."msetnx a1 x b1 x,mset w1 x w2 x,mset w1 x w2,del w1 r1,del w1,touch w1,unlink w1,object encoding w1".split(
        ",",
      ),
      ..."bitfield r1,bitfield r1 get u8 0,bitfield r1 set u8 0 1,bitfield r1 overflow sat get u8 0,bitfield r1 get".split(
        ",",
      ),
      ..."bitfield_ro r1 get u8 0,watch w1,ttl w1,type w1,expire w1 1,setbit w1 1 1,setbit a1 1 1,getbit w1 1".split(
        ",",
      ),
      ..."getdel w1,incr w1,setrange w1 0 x,bitpos w1 1,bitcount r1,bitcount w1,dump w1,restore w1 0 x,move w1 1".split(
        ",",
      ),
      ..."memory usage w1,randomkey,dbsize,scan 0,keys *,wait 0 0,ping,auth x,hello 3,reset,quit,multi,client id".split(
        ",",
      ),
      ..."acl whoami,mget a r1 w1,getrange w1 0 0,pexpire r1 1,persist r1,renamenx a b,substr w1 0 0,incrbyfloat r1 1".split(
        ",",
      ),
    ].map((request) => `a> ACL DRYRUN bob ${request}`),
  ],
  "CAT and GENPASS": [
    "a> ACL CAT",
    "a> ACL CAT nope",
    "a> ACL CAT bitmap x",
    "a> ACL GENPASS 0",
    "a> ACL GENPASS -1",
    "a> ACL GENPASS 4097",
    "a> ACL GENPASS x",
    "a> ACL GENPASS 1 2",
  ],
};

const ours = COMMAND_TABLE.all.map(({ name }) => name);

const word = fc.constantFrom(
  ..."on off nopass resetpass allkeys ~* resetkeys allchannels &* resetchannels allcommands nocommands reset".split(
    " ",
  ),
  ..."sanitize-payload skip-sanitize-payload clearselectors nonsense ON ResetKeys".split(" "),
  "",
);
const hash = (password: string) => createHash("sha256").update(password).digest("hex");
const password = fc.constantFrom(">a", ">b", "<a", "<b", `#${hash("a")}`, `!${hash("b")}`, "#bad", "!bad", ">");
const keyRule = fc.constantFrom(
  ..."~a ~b* %R~a %W~b* %RW~c %R~[ab] %W~* ~?a ~ %R %X~a %RR~a ~\xe9 ~a\\*".split(" "),
  "~a b",
);
const channelRule = fc.constantFrom(..."&a &b* & &?".split(" "), "&a b");
const sign = fc.constantFrom("+", "-");
const SHARED = [
  ..."get set getbit setbit bitop bitcount bitfield mset del rename copy ping select config client command object".split(
    " ",
  ),
  ..."hget zadd cluster cluster|slots client|pause config|rewrite xinfo|help sort_ro".split(" "),
  ..."config|get config|set client|id client|list command|count object|encoding object|help GET Config|Get".split(" "),
];
const commandRule = fc
  .tuple(sign, fc.constantFrom(...SHARED, "nonsense", "config|nonsense"))
  .map(([s, name]) => s + name);
const firstArgRule = fc
  .tuple(sign, fc.constantFrom("select|0", "select|1", "get|a", "get|A", "get|a|b", "config|get|a"))
  .map(([s, name]) => s + name);
const categoryRule = fc
  .tuple(sign, fc.constantFrom(...CATEGORIES, "all", "ALL", "Read", "nonsense"))
  .map(([s, name]) => `${s}@${name}`);
const rule = fc.oneof(
  { weight: 2, arbitrary: word },
  { weight: 1, arbitrary: password },
  { weight: 3, arbitrary: keyRule },
  { weight: 1, arbitrary: channelRule },
  { weight: 4, arbitrary: commandRule },
  { weight: 1, arbitrary: firstArgRule },
  { weight: 4, arbitrary: categoryRule },
);
const rules = fc.array(fc.array(rule, { maxLength: 6 }), { minLength: 1, maxLength: 5 });

/** Requests that leave nothing behind that a later one could see. */
const REQUESTS = [
  ..."GET k,SET k v,SET k v GET,GETBIT k 1,SETBIT k 1 1,BITCOUNT k,BITOP AND k k,BITFIELD k GET u8 0,MSET k v k v".split(
    ",",
  ),
  ..."DEL k k,RENAME k k,COPY k k,EXISTS k,TYPE k,OBJECT ENCODING k,TTL k,SELECT 0,SELECT 1,PING,CONFIG GET dir".split(
    ",",
  ),
  ..."CLIENT ID,CLIENT LIST,COMMAND COUNT,KEYS *,DBSIZE,MULTI,ACL WHOAMI,TIME,INFO server,ECHO a,STRLEN k,INCR k".split(
    ",",
  ),
];
const request = fc
  .tuple(
    fc.constantFrom(...REQUESTS),
    fc.array(fc.constantFrom("a", "b", "bb", "c", "ca", "\xe9", ""), { minLength: 2, maxLength: 2 }),
  )
  .map(([line, keys]) => {
    let used = 0;
    return line.split(" ").map((each) => (each === "k" ? (keys[used++ % 2] ?? "") : each));
  });

describe.skipIf(redisMissing !== undefined)("users here and in redis-server", () => {
  let targets: Target[] = [];
  let stages: [Stage, Stage];

  beforeAll(async () => {
    console.log(`seed ${SEED}, ${RUNS} runs; again with DIFF_SEED=${SEED} DIFF_RUNS=${RUNS}`);
    targets = await Promise.all([startOurs(), startRedis()]);
    stages = [new Stage(targets[0]!), new Stage(targets[1]!)];
  });

  afterAll(async () => {
    for (const stage of stages) stage.close();
    await Promise.all(targets.map((target) => target.stop()));
  });

  test.each(Object.entries(SCENES))("%s", async (_name, lines) => {
    const cleanUp = ["z> RESET", "z> ACL SETUSER default reset on nopass ~* &* +@all"];
    const users = ["x", "bob", "Zoe", "me", "new"];
    const [our, their] = await Promise.all(stages.map((stage) => stage.play(lines)));
    expect(our!.map(withoutRules)).toEqual(their!.map(withoutRules));
    await Promise.all(stages.map((stage) => stage.play([...cleanUp, `z> ACL DELUSER ${users.join(" ")}`])));
    for (const stage of stages) stage.close();
  });

  test("ACL CAT lists the commands that are here", async () => {
    for (const category of CATEGORIES) {
      const [our, their] = (await Promise.all(stages.map((stage) => stage.call("a", "ACL", "CAT", category)))).map(
        (reply) => replyValue(reply) as string[],
      );
      const known = new Set(replyValue(await stages[1].call("a", "COMMAND", "LIST")) as string[]);
      // These are Redis 7.2's.
      const isRedis = (name: string) =>
        known.has(name.split("|")[0]!) && name !== "client|setinfo" && name !== "client|no-touch";
      expect(our!.filter(isRedis).sort(), category).toEqual(their!.filter((name) => ours.includes(name)).sort());
    }
  });

  const both = async (...argv: string[]): Promise<[string, string]> => {
    const [our, their] = await Promise.all([stages[0].call("a", ...argv), stages[1].call("a", ...argv)]);
    return [our, their];
  };
  const alike = async (...argv: string[]): Promise<void> => {
    const [our, their] = await both(...argv);
    expect([argv.join(" "), our]).toEqual([argv.join(" "), their]);
  };

  test("a file of users that one has written the other reads", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bitmapist-acl-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [ourFile, theirFile] = [join(folder, "ours.acl"), join(folder, "theirs.acl")];
    for (const file of [ourFile, theirFile]) writeFileSync(file, "");
    const pair = await Promise.all([
      startOurs({ aclfile: ourFile }),
      RedisServer.start(START_MS, ["--aclfile", theirFile]),
    ]);
    const [our, their] = pair.map((target) => new Stage(target)) as [Stage, Stage];
    const made = [
      "a> ACL SETUSER bob on >pw >other ~a* %R~r %W~w* &c* +@read -@dangerous +config|get -get +select|0",
      "a> ACL SETUSER eve nopass sanitize-payload allkeys allchannels +@all -@write -@admin -mset",
      "a> ACL SETUSER \xe9 on skip-sanitize-payload +set +get",
      "a> ACL SETUSER default -debug >pw",
      "a> ACL SAVE",
    ];
    const asked = [
      "a> ACL LOAD",
      "a> ACL LIST",
      ...[
        "get a",
        "set a 1",
        "select 0",
        "select 1",
        "config get x",
        "mset a 1",
        "bitcount r",
        "bitcount w",
        "debug x",
      ].flatMap((request) => ["bob", "eve", "\xe9", "default"].map((name) => `a> ACL DRYRUN ${name} ${request}`)),
    ];
    expect(await our.play(made)).toEqual(await their.play(made));
    const expected = (await their.play(asked)).map(withoutRules);
    copyFileSync(ourFile, `${ourFile}.kept`);
    copyFileSync(theirFile, ourFile);
    expect((await our.play(asked)).map(withoutRules)).toEqual(expected);
    copyFileSync(`${ourFile}.kept`, theirFile);
    expect((await their.play(asked)).map(withoutRules)).toEqual(expected);
    for (const stage of [our, their]) stage.close();
    await Promise.all(pair.map((target) => target.stop()));
  });

  test("random rules", { timeout: TIMEOUT_MS }, async () => {
    const run = async (calls: readonly string[][], requests: readonly string[][]): Promise<void> => {
      await alike("ACL", "DELUSER", "u");
      for (const given of calls) await alike("ACL", "SETUSER", "u", ...given);
      const [our, their] = (await both("ACL", "GETUSER", "u")).map((reply) => replyValue(reply) as Value[]);
      if (!our) {
        expect(their).toBe(null);
        return;
      }
      expect(our.with(5, "")).toEqual(their!.with(5, ""));
      const lists = (await both("ACL", "LIST")).map((reply) => (replyValue(reply) as string[]).map(withoutRules));
      expect(lists[0]).toEqual(lists[1]);
      await stages[1].call("a", "ACL", "SETUSER", "copy", "nocommands", ...(our[5] as string).split(" "));
      const copy = replyValue(await stages[1].call("a", "ACL", "GETUSER", "copy")) as Value[];
      await stages[1].call("a", "ACL", "DELUSER", "copy");
      expect([our[5], copy[5]]).toEqual([our[5], their![5]]);
      for (const argv of requests) await alike("ACL", "DRYRUN", "u", ...argv);
      await alike("ACL", "SETUSER", "u", "on", "nopass");
      await Promise.all(
        stages.map(async (stage) => {
          const answers = [await stage.call("u", "AUTH", "u", "")];
          for (const argv of requests)
            answers.push((await stage.call("u", ...argv)).replace(/^(?!-NOPERM).*/s, "allowed"));
          await stage.call("u", "RESET");
          return answers;
        }),
      ).then(([ours, theirs]) => expect(ours).toEqual(theirs));
    };
    const details = await fc.check(fc.asyncProperty(rules, fc.array(request, { minLength: 5, maxLength: 15 }), run), {
      numRuns: RUNS,
      seed: SEED,
      interruptAfterTimeLimit: TIMEOUT_MS - 30_000,
    });
    if (details.failed) {
      throw new Error(`seed ${SEED}: ${JSON.stringify(details.counterexample)}\n${details.errorInstance}`);
    }
  });
});

/** Replies and lines of ACL LIST without the rules of commands. */
function withoutRules(text: string): string {
  return text
    .replace(/\$\d+\r\n(user [^\r]*? |)[+-]@all[^\r]*/g, "$$\r\n$1<commands>")
    .replace(/^(user .*? )[+-]@all.*$/, "$1<commands>");
}
