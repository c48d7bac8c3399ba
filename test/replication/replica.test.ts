/** What clients of a replica may do and see, as Redis' own replica answers them, and how this server becomes a replica and a master again. */
import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { ask, askAll } from "../support/ask.js";
import { makeCertificate } from "../support/certificates.js";
import { buildDisk, DiskFault, diskEnvironment, diskMissing } from "../support/disk.js";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { eventually, freePort, ServerProcess, sandbox, sleep } from "../support/server-process.js";
import { findTool } from "../support/tools.js";
import { LinkProxy } from "./link-proxy.js";
import { connectTo, expectSame, infoOf, inStep, LINK_MS, startMaster, startReplica } from "./pair.js";

sayRedisMissing("a replica and its clients");
const openssl = findTool("openssl", ["version"]);

const words = (text: string) => text.split(" ");

describe.skipIf(redisMissing !== undefined)("a replica", () => {
  test("answers its clients as a replica that is a Redis", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    await askAll(master, ["SET k v", "SETBIT b 7 1", "SELECT 1"]);
    const theirs = await connectTo((await startMaster("--replicaof", `127.0.0.1 ${redis.port}`)).port);
    const ours = await connectTo((await startReplica(redis.port)).port);
    await inStep(master, theirs);
    await inStep(master, ours);
    const program = [
      ...[
        "SET k w",
        "set k",
        "SETBIT b 1 1",
        "GETBIT b 7",
        "GET k",
        "DEL k",
        "EXPIRE k 10",
        "FLUSHALL",
        "GETEX k",
        "BITOP NOT d b",
      ],
      ...["MULTI", "GET k", "SET k w", "EXEC", "MULTI", "SETBIT b 1 1", "EXEC", "MULTI", "GET k", "EXEC", "DISCARD"],
      ...[
        "CONFIG SET replica-read-only no",
        "MULTI",
        "SET own 1",
        "CONFIG SET replica-read-only yes",
        "EXEC",
        "GET own",
      ],
      ...[
        "MULTI",
        "SET own 2",
        "EXEC",
        "CONFIG SET slave-read-only no",
        "SET own 2",

        "CONFIG SET slave-read-only yes",
      ],
      ...["SELECT 1", "SELECT 0", "PUBLISH a b", "SUBSCRIBE s", "SET k v", "GET k", "UNSUBSCRIBE s"],
      ...[
        "WAIT 0 0",
        "WAIT a b",
        `REPLICAOF 127.0.0.1 ${redis.port}`,
        "REPLICAOF a 65536",
        "REPLICAOF a b",
        "SLAVEOF a -1",
      ],
      ...[
        "CONFIG GET replicaof",
        "CONFIG GET slaveof",
        "CONFIG SET replicaof no",
        "CONFIG GET slave-read-only",
        "CONFIG GET masterauth",
      ],
      ...[
        "CONFIG SET masterauth secret masteruser me",
        "CONFIG GET masteruser",
        "CONFIG SET repl-timeout 0",
        "CONFIG GET repl-timeout",
      ],
      ...[
        "CONFIG GET replica-serve-stale-data",
        "CONFIG GET tls-replication",
        "CONFIG SET masterauth",
        "ROLE",
        "DBSIZE",
      ],
    ];
    for (const request of program) {
      expect([request, await ours.call(...words(request))]).toEqual([request, await theirs.call(...words(request))]);
    }
    const hello = (text: string) => text.slice(text.indexOf("role"));
    expect(hello(await ours.call("HELLO", "2"))).toBe(hello(await theirs.call("HELLO", "2")));
    // The same fields in the same order, but for those of a backlog; what they say is the same where it is of the master.
    const [told, toldByRedis] = [await infoOf(ours), await infoOf(theirs)];
    const fields = Object.keys(toldByRedis).filter((field) => !/^repl_backlog_(?:size|first|hist)/.test(field));
    expect(Object.keys(told)).toEqual(fields);
    for (const field of fields.filter((name) => !/_io_|backlog/.test(name))) {
      expect([field, told[field]]).toEqual([field, toldByRedis[field]]);
    }
    // One that can't reach its master.
    const away = `REPLICAOF 127.0.0.1 ${await freePort()}`;
    for (const request of [
      away,
      "CONFIG SET replica-serve-stale-data no",
      "GET k",
      "PING",
      "SET k v",
      "MULTI",
      "GET k",
      "EXEC",
      "INFO x",
    ]) {
      expect([request, await ours.call(...words(request))]).toEqual([request, await theirs.call(...words(request))]);
    }
    const down = async (replica: typeof ours) => {
      const { master_link_status, slave_repl_offset, master_link_down_since_seconds } = await infoOf(replica);
      return [
        master_link_status,
        Number(slave_repl_offset) > 0,
        Number(master_link_down_since_seconds) < LINK_MS / 1000,
      ];
    };
    expect(await down(ours)).toEqual(await down(theirs));
    // Masters again.
    for (const request of [
      "CONFIG SET replica-serve-stale-data yes",
      "REPLICAOF NO ONE",
      "REPLICAOF NO ONE",
      "SET k w",
      "GET k",
      "WAIT 0 1",
    ]) {
      expect([request, await ours.call(...words(request))]).toEqual([request, await theirs.call(...words(request))]);
    }
    const [after, afterRedis] = [await infoOf(ours), await infoOf(theirs)];
    expect(after).toMatchObject({ role: "master", master_replid2: told.master_replid });
    expect(Object.keys(after)).not.toContain("slave_repl_offset");
    expect(after.master_replid).toMatch(/^[0-9a-f]{40}$/);
    expect(after.master_replid).not.toBe(told.master_replid);
    expect(after.second_repl_offset).toBe(String(Number(after.master_repl_offset) + 1));
    expect(afterRedis.master_replid2).toBe(after.master_replid2);
  });

  test("refuses runs of SETBIT too, and transactions of them, in one chunk", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    await askAll(master, ["SETBIT b 100 1"]);
    const replica = await connectTo((await startReplica(redis.port)).port);
    await inStep(master, replica);
    // The key is in memory, and was read before.
    await askAll(replica, Array(50).fill("GETBIT b 100"));
    const refused = "-READONLY You can't write against a read only replica.\r\n";
    expect(await replica.pipeline(Array(50).fill(words("SETBIT b 5 1")))).toEqual(Array(50).fill(refused));
    const replies = await replica.pipeline([["MULTI"], words("SETBIT b 5 1"), words("SETBIT b 6 1"), ["EXEC"]]);
    expect(replies.map((reply) => reply.slice(0, 10))).toEqual(["+OK\r\n", "-READONLY ", "-READONLY ", "-EXECABORT"]);
    expect(await ask(replica, "BITCOUNT", "b")).toBe(1);
  });

  test("logs in at its master, and goes on trying until it may", async () => {
    const redis = await startMaster("--requirepass", "secret");
    const master = await connectTo(redis.port);
    await askAll(master, ["AUTH secret", "SET k v"]);
    await ask(master, "ACL", "SETUSER", "mover", "on", ">\xe4\xff", "+psync", "+replconf", "+ping");
    const server = await startReplica(redis.port, "--masteruser", "mover");
    const replica = await connectTo(server.port);
    await server.logged(/is down: NOAUTH Authentication required/, LINK_MS);
    await ask(replica, "CONFIG", "SET", "masterauth", "wrong");
    await server.logged(/is down: WRONGPASS/, LINK_MS);
    await ask(replica, "CONFIG", "SET", "masterauth", "\xe4\xff");
    await inStep(master, replica);
    expect(await expectSame(master, replica)).toBe(1);
    // Without a user it is the default one's.
    await ask(replica, "CONFIG", "SET", "masteruser", "", "masterauth", "secret");
    await ask(replica, "CLIENT", "KILL", "TYPE", "master");
    await ask(master, "SET", "k", "w");
    await inStep(master, replica);
    expect(await ask(replica, "GET", "k")).toBe("w");
  });

  test("is what its configuration file says, which CONFIG REWRITE keeps up to date", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    await ask(master, "SET", "k", "v");
    const place = sandbox();
    const port = await freePort();
    const file = place.path("b.conf");
    writeFileSync(file, `port ${port}\nslaveof 127.0.0.1 ${redis.port}\nslave-read-only no\n`);
    const server = await place.start({ argv: ["b.conf"], port });
    const replica = await connectTo(port);
    await inStep(master, replica);
    await askAll(replica, [
      "SET own 1",
      "CONFIG SET replica-read-only yes masterauth secret",
      "REPLICAOF ::1 1",
      "CONFIG REWRITE",
    ]);
    expect(readFileSync(file, "utf8")).toContain(`port ${port}\nreplicaof ::1 1\n`);
    expect(readFileSync(file, "utf8")).toMatch(/^masterauth secret$/m);
    expect(readFileSync(file, "utf8")).not.toContain("slave-read-only no");
    await askAll(replica, ["REPLICAOF NO ONE", "CONFIG REWRITE"]);
    expect(readFileSync(file, "utf8")).toContain("replicaof no one");
    await server.stop();
    const again = await place.start({ argv: ["b.conf"], port });
    expect(await ask(await again.connect(), "MGET", "k", "own")).toEqual(["v", "1"]);
    expect(await ask(await again.connect(), "ROLE")).toEqual(["master", 0, []]);
  });

  test("has after a restart, or a kill, what its master has", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    const place = sandbox();
    const start = () => place.start({ args: ["--replicaof", "127.0.0.1", String(redis.port)] });
    const first = await start();
    await inStep(master, await connectTo(first.port));
    await askAll(master, ["SET a 1", "SET b 1"]);
    await inStep(master, await connectTo(first.port));
    await first.stop();
    await askAll(master, ["DEL a", "SET c 1"]);
    const second = await start();
    await inStep(master, await connectTo(second.port));
    await expectSame(master, await connectTo(second.port));
    await second.kill();
    await askAll(master, ["DEL b", "SET d 1"]);
    const third = await start();
    await inStep(master, await connectTo(third.port));
    expect(await expectSame(master, await connectTo(third.port))).toBe(2);
  });

  test("goes from one master to another of the same history without a new synchronisation", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    const other = await startMaster("--replicaof", `127.0.0.1 ${redis.port}`);
    const sibling = await connectTo(other.port);
    await inStep(master, sibling);
    const replica = await connectTo((await startReplica(redis.port)).port);
    await inStep(master, replica);
    await askAll(master, ["SELECT 4", "SET k v"]);
    await inStep(master, sibling);
    await inStep(master, replica);
    // The sibling becomes the master, and its history gets a new name.
    await ask(sibling, "REPLICAOF", "NO", "ONE");
    expect(await ask(replica, "REPLICAOF", "127.0.0.1", other.port)).toBe("OK");
    await ask(sibling, "SET", "after", "1");
    await inStep(sibling, replica);
    expect(await infoOf(sibling, "stats")).toMatchObject({ sync_full: "0", sync_partial_ok: "1" });
    const { master_replid, master_replid2 } = await infoOf(sibling);
    expect(await infoOf(replica)).toMatchObject({ master_replid, master_replid2 });
    expect(await expectSame(sibling, replica)).toBe(2);
  });

  test("gives a master up that says nothing", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    const proxy = await LinkProxy.start(redis.port);
    const server = await startReplica(proxy.port, "--repl-timeout", "1");
    const replica = await connectTo(server.port);
    await inStep(master, replica);
    // The master pings each 10 s.
    await server.logged(/is down: it has said nothing for 1 s/, LINK_MS);
    await ask(master, "SET", "k", "v");
    await inStep(master, replica);
    expect(await ask(replica, "GET", "k")).toBe("v");
    expect(proxy.links).toBeGreaterThan(1);
  });

  test.skipIf(diskMissing !== undefined)("reads its master no further while the disk fails", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    const place = sandbox();
    const fault = new DiskFault(place.path("fault"));
    onTestFinished(() => fault.close());
    const database = place.path("bitmapist.db");
    const argv = ["--addr", "127.0.0.1:0", "--db", database, "--replicaof", "127.0.0.1", String(redis.port)];
    const env = diskEnvironment(buildDisk(place.folder), database, { fault: fault.path });
    const server = new ServerProcess(argv, { cwd: place.folder, env });
    onTestFinished(() => server.cleanup());
    await server.answers(0);
    const replica = await connectTo(server.port);
    await ask(master, "SET", "a", "1");
    await inStep(master, replica);
    fault.set({ write: "ENOSPC" });
    await ask(master, "SET", "b", "1");
    await server.logged(/writes are refused until it works again/);
    await ask(master, "SET", "c", "1");
    await sleep(500);
    expect(await ask(replica, "MGET", "a", "b", "c")).toEqual(["1", "1", null]);
    fault.set({});
    await inStep(master, replica);
    expect(await ask(replica, "GET", "c")).toBe("1");
    expect(await infoOf(master, "stats")).toMatchObject({ sync_full: "1", sync_partial_ok: "0" });
  });

  test("stops while it waits for its master", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    const place = sandbox();
    const server = await place.start({ args: ["--replicaof", `127.0.0.1 ${redis.port}`] });
    const replica = await connectTo(server.port);
    await inStep(master, replica);
    await ask(replica, "CLIENT", "PAUSE", 100_000, "WRITE");
    await ask(master, "SET", "k", "v");
    await sleep(100);
    expect(await server.stop()).toMatchObject({ code: 0 });
    const away = await place.start({ args: ["--replicaof", `127.0.0.1 ${await freePort()}`] });
    await away.logged(/is down/, LINK_MS);
    expect(await away.stop()).toMatchObject({ code: 0 });
    const silent = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void silent.close());
    await once(silent, "listening");
    const accepted = once(silent, "connection");
    const { port } = silent.address() as AddressInfo;
    const unanswered = await place.start({ args: ["--replicaof", `127.0.0.1 ${port}`, "--repl-timeout", "3600"] });
    await accepted;
    expect(await unanswered.stop()).toMatchObject({ code: 0 });
  });

  test.skipIf(openssl === undefined)("connects by TLS", async () => {
    const place = sandbox();
    makeCertificate(place, "ca", false);
    makeCertificate(place, "server", true);
    const tlsPort = await freePort();
    const files = ["ca.pem", "server.pem", "server.key"].map((name) => place.path(name)) as [string, string, string];
    const redis = await startMaster(
      ...[
        "--tls-port",
        String(tlsPort),
        "--tls-ca-cert-file",
        files[0],
        "--tls-cert-file",
        files[1],
        "--tls-key-file",
        files[2],
      ],
    );
    const master = await connectTo(redis.port);
    await ask(master, "SET", "k", "v");
    copyFileSync(files[0], place.path("authority.pem"));
    const args = [
      "--tls-replication",
      "yes",
      "--tls-ca-cert-file",
      "authority.pem",
      "--replicaof",
      `localhost ${tlsPort}`,
    ];
    const server = await place.start({
      args: [...args, "--tls-cert-file", "server.pem", "--tls-key-file", "server.key"],
    });
    const replica = await connectTo(server.port);
    await inStep(master, replica);
    await ask(master, "SET", "k", "w");
    await inStep(master, replica);
    expect(await expectSame(master, replica)).toBe(1);
    await eventually(
      "an acknowledgement has come",
      async () => (await infoOf(master)).slave0?.includes("lag=0") === true,
    );
  });
});
