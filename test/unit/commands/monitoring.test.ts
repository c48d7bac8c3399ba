/** SLOWLOG, LATENCY and INFO where they tell of this server: which calls are timed, and what the figures come from. */
import { describe, expect, test } from "vitest";
import { LONG_CHUNK_COMMANDS, QUICK_CALLS_A_SAMPLE } from "../../../src/config.js";
import { START_MS, type TestClient, TestServer } from "./harness.js";

function setUp() {
  const server = new TestServer();
  const client = server.connect();
  return { server, client, timing: server.timing };
}

/** The fields of INFO sections. */
function info(client: TestClient, sections: string): Record<string, string> {
  const text = client.say(`INFO ${sections}`);
  const pairs = text.split("\r\n").flatMap((line) => {
    const colon = line.indexOf(":");
    return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)] as const];
  });
  return Object.fromEntries(pairs);
}

const numberIn = (fields: Record<string, string>, name: string) => Number(fields[name]);
/** The figures in a line like `calls=3,usec=...`. */
const figuresIn = (line: string | undefined) =>
  Object.fromEntries((line ?? "").split(",").map((each) => [each.split("=")[0], Number(each.split("=")[1])]));

describe("which calls are timed", () => {
  test("of a pipeline the first, and of those that were quick one in so many, which stands for the others", () => {
    const { server, client, timing } = setUp();
    client.say("SETBIT k 1 1");
    const stats = server.stats.of("setbit");
    timing.beginChunk(server.stats.commands);
    for (let i = 0; i < 10 * QUICK_CALLS_A_SAMPLE; i++) client.say("SETBIT k 1 1");
    expect(stats.calls).toBe(10 * QUICK_CALLS_A_SAMPLE + 1);
    expect(stats.covered).toBeGreaterThan(8 * QUICK_CALLS_A_SAMPLE);
    expect(stats.covered).toBeLessThanOrEqual(stats.calls);
    expect(stats.latencies?.count).toBe(stats.covered);
  });

  test("one that reads the file is timed wherever it stands in a pipeline", () => {
    const { server, client } = setUp();
    client.say("SETBIT far 1 1");
    server.storage.commit(server.keyspace);
    server.keyspace.residency.forgetClean();
    client.say("SETBIT near 1 1");
    const stats = server.stats.of("getbit");
    // As after a sample that was quick.
    stats.untilSample = QUICK_CALLS_A_SAMPLE;
    client.say("GETBIT near 1");
    expect(stats.covered).toBe(0);
    client.say("GETBIT far 1");
    expect(stats.covered).toBe(1);
    client.say("GETBIT far 1");
    expect(stats.covered).toBe(1);
  });

  test("all of them, where the slow log wants those that took less than a millisecond", () => {
    const { server, client } = setUp();
    const stats = server.stats.of("getbit");
    stats.untilSample = QUICK_CALLS_A_SAMPLE;
    client.say("CONFIG SET slowlog-log-slower-than 999");
    for (let i = 0; i < 20; i++) client.say("GETBIT k 1");
    expect(stats.covered).toBe(20);
  });

  test("not the first after a long chunk", () => {
    const { server, client, timing } = setUp();
    const stats = server.stats.of("getbit");
    stats.untilSample = QUICK_CALLS_A_SAMPLE;
    for (let chunk = 0; chunk < 2; chunk++) {
      timing.beginChunk(server.stats.commands);
      for (let i = 0; i < LONG_CHUNK_COMMANDS; i++) client.say("GETBIT k 1");
    }
    expect(stats.covered).toBe(1);
  });

  test("the first of each chunk", () => {
    const { server, client, timing } = setUp();
    const stats = server.stats.of("getbit");
    stats.untilSample = QUICK_CALLS_A_SAMPLE;
    for (let i = 0; i < 20; i++) {
      timing.beginChunk(server.stats.commands);
      client.sayAll("GETBIT k 1", "GETBIT k 2");
    }
    expect(stats.covered).toBe(20);
  });
});

describe("SLOWLOG", () => {
  test("keeps who it was, and when", () => {
    const { client, timing } = setUp();
    client.sayAll("CLIENT SETNAME me", "CONFIG SET slowlog-log-slower-than 0", "SET k v");
    expect(timing.slowlog.entries[0]).toMatchObject({
      time: START_MS / 1000,
      args: ["SET", "k", "v"],
      address: client.address,
      clientName: "me",
    });
  });

  test("keeps an argument that is not valid any more when it is asked for", () => {
    const { client, timing } = setUp();
    client.sayAll("CONFIG SET slowlog-log-slower-than 0", "SET k first", "SET k other");
    expect(timing.slowlog.entries[1]?.args).toEqual(["SET", "k", "first"]);
  });

  test("has no entry of a request that was refused, and one of a command that failed", () => {
    const { client, timing } = setUp();
    client.sayAll("CONFIG SET slowlog-log-slower-than 0", "SLOWLOG RESET", "GET", "NOSUCH", "SETBIT k 1 2");
    expect(timing.slowlog.entries.map(({ args }) => args.join(" "))).toEqual(["SETBIT k 1 2", "SLOWLOG RESET"]);
  });
});

describe("LATENCY", () => {
  test("keeps the longest of each second, 160 seconds of them, and the longest of all", () => {
    const { client, timing } = setUp();
    for (let second = 0; second < 200; second++) {
      for (const ms of [5, 9, 7]) timing.latency.add("command", ms + (second === 0 ? 100 : 0), second);
    }
    const event = timing.latency.event("command");
    expect(event?.samples).toHaveLength(160);
    expect(event?.samples[0]).toEqual({ time: 40, ms: 9 });
    expect(client.say("LATENCY LATEST")).toBe("*1\r\n*4\r\n$7\r\ncommand\r\n:199\r\n:9\r\n:109\r\n");
  });

  test("draws a column for each second, its age below it", () => {
    const { client, timing } = setUp();
    const now = START_MS / 1000;
    for (const [age, ms] of [
      [7200, 10],
      [61, 25],
      [12, 40],
    ] as const)
      timing.latency.add("command", ms, now - age);
    const drawn = client.say("LATENCY GRAPH command").split("\n");
    expect(drawn.slice(1)).toEqual([
      "command - high 40 ms, low 10 ms (all time high 40 ms)",
      "-".repeat(80),
      "  #",
      " _|",
      " ||",
      "_||",
      "",
      "211",
      "hm2",
      "  s",
      "\r",
      "",
    ]);
  });

  test("DOCTOR says that nothing is looked at, that nothing was seen, or what was", () => {
    const { client, timing } = setUp();
    expect(client.say("LATENCY DOCTOR")).toContain("CONFIG SET latency-monitor-threshold");
    timing.thresholdMs = 10;
    expect(client.say("LATENCY DOCTOR")).toContain("seen nothing");
    timing.took("expire-cycle", 9, START_MS);
    expect(client.say("LATENCY DOCTOR")).toContain("seen nothing");
    timing.took("expire-cycle", 10, START_MS);
    timing.took("expire-cycle", 30, START_MS + 4000);
    expect(client.say("LATENCY DOCTOR")).toContain(
      "expire-cycle: took long in 2 of the 5 seconds kept, 20 ms on average, 30 ms at most. Many keys expire",
    );
  });

  test("tells quick commands from others", () => {
    const { server, client, timing } = setUp();
    server.enableDebugCommand = "yes";
    timing.thresholdMs = 1;
    client.say("DEBUG SLEEP 0.002");
    expect(timing.latency.events.map(({ name }) => name)).toEqual(["command"]);
  });
});

describe("INFO", () => {
  test("commandstats adds up calls that were not timed by those that were", () => {
    const { server, client } = setUp();
    const stats = server.stats.of("strlen");
    Object.assign(stats, { calls: 100, covered: 50, ns: 50 * 3000, rejected: 2, failed: 1 });
    expect(info(client, "commandstats").cmdstat_strlen).toBe(
      "calls=100,usec=300,usec_per_call=3.00,rejected_calls=2,failed_calls=1",
    );
  });

  test("commandstats and errorstats count what is refused, and what fails", () => {
    const { client } = setUp();
    client.sayAll("SETBIT k", "SETBIT k 1 2", "SETBIT k 1 1", "NOSUCH", "EXEC");
    const fields = info(client, "commandstats errorstats");
    expect(figuresIn(fields.cmdstat_setbit)).toMatchObject({ calls: 2, rejected_calls: 1, failed_calls: 1 });
    expect(figuresIn(fields.cmdstat_exec)).toMatchObject({ calls: 1, failed_calls: 1 });
    expect(fields.errorstat_ERR).toBe("count=4");
  });

  test("commandstats do not tell of the words of an HTTP request, which are no commands", () => {
    const { client } = setUp();
    client.sayAll("POST / HTTP/1.1", "Host: here");
    expect(client.say("INFO commandstats")).toBe("$16\r\n# Commandstats\r\n\r\n");
    expect(client.say("LATENCY HISTOGRAM post host:")).toBe("*0\r\n");
  });

  test("instantaneous rates are those of the last samples", () => {
    const { server, client } = setUp();
    server.stats.sampleRates(0);
    for (let tenth = 1; tenth <= 40; tenth++) {
      server.stats.commands += tenth <= 20 ? 1000 : 50;
      server.stats.inputBytes += 1024;
      server.stats.sampleRates(tenth * 100);
    }
    const fields = info(client, "stats");
    expect(fields.instantaneous_ops_per_sec).toBe("500");
    expect(fields.instantaneous_input_kbps).toBe("10.00");
    expect(fields.instantaneous_output_kbps).toBe("0.00");
    // Counters that were set back are no negative rate.
    client.say("CONFIG RESETSTAT");
    server.stats.sampleRates(4100);
    expect(numberIn(info(client, "stats"), "instantaneous_ops_per_sec")).toBeGreaterThanOrEqual(0);
  });

  test("avg_ttl is the average of the time that is left, of keys in memory and in the file", () => {
    const { server, client } = setUp();
    client.sayAll("SET a 1 PX 1000", "SET b 1 PX 3000", "SET c 1");
    expect(info(client, "keyspace").db0).toBe("keys=3,expires=2,avg_ttl=2000");
    server.storage.commit(server.keyspace);
    server.keyspace.residency.forgetClean();
    client.sayAll("PEXPIRE b 9000", "SET d 1 PX 2000");
    server.clock.set(START_MS + 500);
    expect(info(client, "keyspace").db0).toBe("keys=4,expires=3,avg_ttl=3500");
    // Of many keys a sample is taken: their deadlines are all alike here.
    client.say("FLUSHALL");
    for (let i = 0; i < 1000; i++) client.say(`SET k${i} 1 PX ${100_000 + (i % 2) * 10}`);
    expect(Math.abs((figuresIn(info(client, "keyspace").db0).avg_ttl as number) - 100_005)).toBeLessThanOrEqual(5);
  });

  test("resident_string_bytes are the lengths of the values in memory, as they come, grow and go", () => {
    const { server, client } = setUp();
    const told = () => numberIn(info(client, "memory"), "resident_string_bytes");
    client.sayAll("SETBIT a 79 1", "SET b 12345", "BITOP NOT c a", "APPEND b 6", "COPY a d", "RENAME b e");
    expect(told()).toBe(10 + 6 + 10 + 10);
    client.sayAll("DEL a", "SETBIT e 799 1", "SET c 1", "SET x 1234 PX 5");
    expect(told()).toBe(100 + 1 + 10 + 4);
    server.clock.set(START_MS + 10);
    client.sayAll("GET x", "MOVE d 1", "SWAPDB 0 1", "FLUSHDB");
    expect(told()).toBe(101);
    server.storage.commit(server.keyspace);
    server.keyspace.residency.forgetClean();
    expect(told()).toBe(0);
    client.sayAll("SELECT 1", "GETBIT e 799");
    expect(told()).toBe(100);
    client.say("FLUSHALL");
    expect(told()).toBe(0);
  });

  test("the peak is the most that was seen", () => {
    const { server, client } = setUp();
    const first = numberIn(info(client, "memory"), "used_memory");
    expect(server.memoryMarks.peak).toBe(first);
    server.memoryMarks.peak = first * 10;
    const fields = info(client, "memory");
    expect(numberIn(fields, "used_memory_peak")).toBe(first * 10);
    expect(Number.parseFloat(fields.used_memory_peak_perc as string)).toBeLessThan(50);
  });

  test("every field of every section has a value", () => {
    const { server, client } = setUp();
    client.sayAll("SETBIT k 1 1", "GET", "SET v 1 EX 10");
    server.storage.commit(server.keyspace);
    const fields = info(client, "everything");
    expect(Object.keys(fields).length).toBeGreaterThan(120);
    for (const [name, value] of Object.entries(fields)) expect(value, name).not.toMatch(/NaN|undefined|Infinity|^$/);
  });
});

describe("scripting", () => {
  test.each(["EVAL", "evalsha", "Eval_RO", "EVALSHA_RO", "FCALL", "FCALL_RO", "FUNCTION", "SCRIPT"])(
    "%s is an unknown command, and the error says why",
    (name) => {
      const { client } = setUp();
      const error = `-ERR unknown command '${name}': scripts and functions are not supported here\r\n`;
      expect(client.say(`${name} LOAD x`)).toBe(error);
      expect(client.say(name)).toBe(error);
      expect(client.sayAll("MULTI", name, "EXEC").at(-1)).toMatch(/^-EXECABORT/);
      expect(client.say(`COMMAND INFO ${name}`)).toBe("*1\r\n$-1\r\n");
    },
  );
});

describe("passwords", () => {
  test("are in no log of commands", () => {
    const { server, client } = setUp();
    Object.assign(server, { debug: true });
    client.sayAll(
      "AUTH default hidden1",
      "HELLO 2 AUTH default hidden2",
      "CONFIG SET requirepass hidden3",
      "AUTH hidden3",
    );
    const logged = server.logged.join("\n");
    expect(logged).toContain("(redacted)");
    expect(logged).not.toContain("hidden");
  });
});
