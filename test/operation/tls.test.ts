/** TLS: with certificates that are made here, by node:tls and by redis-cli. */
import { execFileSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ask, ReplyError } from "../support/ask.js";
import { makeCertificate } from "../support/certificates.js";
import { RawClient } from "../support/raw-client.js";
import { eventually, freePort, runProgram, Sandbox, type ServerProcess, sandbox } from "../support/server-process.js";
import { findTool } from "../support/tools.js";

const openssl = findTool("openssl", ["version"]);
const redisCli = openssl === undefined ? undefined : findTool("redis-cli");

/** An authority with two servers' certificates, a client's, and a stranger that nobody knows. */
const NAMES = ["ca", "server", "second", "client", "stranger"] as const;

let place: Sandbox;

/** A sandbox with the certificates in it. */
function prepared(): Sandbox {
  const made = sandbox();
  for (const name of NAMES) {
    for (const end of ["pem", "key"]) copyFileSync(place.path(`${name}.${end}`), made.path(`${name}.${end}`));
  }
  return made;
}

const SERVER = ["--tls-cert-file", "server.pem", "--tls-key-file", "server.key"];
const WITH_CA = [...SERVER, "--tls-ca-cert-file", "ca.pem"];

async function start(made: Sandbox, ...args: string[]): Promise<{ server: ServerProcess; tlsPort: number }> {
  const tlsPort = await freePort();
  return { server: await made.start({ args: ["--tls-port", String(tlsPort), ...args] }), tlsPort };
}

/** A TLS connection, made whole. With TLS 1.3 the server's refusal comes after it. */
function dial(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const ca = execFileSync("cat", [place.path("ca.pem")]);
    const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca, ...options }, () => resolve(socket));
    socket.once("error", reject);
    onTestFinished(() => void socket.destroy());
  });
}

async function client(port: number, options: ConnectionOptions = {}): Promise<RawClient> {
  return RawClient.over(await dial(port, options));
}

const certificateOf = (name: string): ConnectionOptions => ({
  cert: execFileSync("cat", [place.path(`${name}.pem`)]),
  key: execFileSync("cat", [place.path(`${name}.key`)]),
});

/** Whether a PING is answered. */
async function isServed(port: number, options: ConnectionOptions = {}): Promise<boolean> {
  try {
    return (await (await client(port, options)).call("PING")) === "+PONG\r\n";
  } catch {
    return false;
  }
}

describe.skipIf(openssl === undefined)("TLS", () => {
  beforeAll(() => {
    place = new Sandbox();
    makeCertificate(place, "ca", false);
    for (const name of ["server", "second", "client"]) makeCertificate(place, name, true);
    makeCertificate(place, "stranger", false);
    return () => place.cleanup();
  });

  test("serves beside TCP: pipelines, large values, and the end of a client's side", async () => {
    const { server, tlsPort } = await start(prepared(), ...SERVER, "--tls-auth-clients", "no");
    expect(server.log).toContain(`, TLS port ${tlsPort}, port ${server.port}; `);
    const tls = await client(tlsPort);
    const value = "0123456789".repeat(300_000);
    await ask(tls, "SET", "k", value);
    expect(await ask(await server.connect(), "GET", "k")).toBe(value);
    expect(await ask(tls, "GET", "k")).toBe(value);
    const requests = Array.from({ length: 1000 }, (_, i) => ["SETBIT", "bits", String(i), "1"]);
    expect(await tls.pipeline(requests)).toEqual(requests.map(() => ":0\r\n"));
    expect(await ask(tls, "CLIENT", "INFO")).toMatch(/ addr=127\.0\.0\.1:\d+ laddr=127\.0\.0\.1:\d+ /);
    const socket = await dial(tlsPort);
    let said = "";
    socket.on("data", (chunk) => {
      said += chunk;
    });
    socket.end("BITCOUNT bits\r\nPING\r\n");
    await new Promise((resolve) => socket.once("end", resolve));
    expect(said).toBe(":1000\r\n+PONG\r\n");
    const { code } = await server.stop();
    expect(code).toBe(0);
  });

  test("a reply of 512 MB goes out no faster than it is read", async () => {
    const { server, tlsPort } = await start(prepared(), ...SERVER, "--tls-auth-clients", "no");
    const other = await server.connect();
    await ask(other, "SETBIT", "wide", String(2 ** 32 - 1), "1");
    const socket = await dial(tlsPort);
    socket.pause();
    socket.write("GET wide\r\n");
    await eventually("the reply waits", async () => {
      const info = String(await ask(other, "CLIENT", "LIST"));
      return info.split("\n").some((line) => line.includes("cmd=get"));
    });
    const used = Number(/used_memory_rss:(\d+)/.exec(String(await ask(other, "INFO", "memory")))?.[1]);
    expect(used).toBeLessThan(400 * 1024 * 1024);
    let bytes = 0;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
      if (bytes > 20_000_000) socket.destroy();
    });
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
    expect(bytes).toBeGreaterThan(20_000_000);
    expect(await ask(other, "PING")).toBe("PONG");
  });

  test("alone, with port 0, there is no plain TCP", async () => {
    const tlsPort = await freePort();
    const argv = ["--db", ":memory:", "--bind", "127.0.0.1", "--port", "0", "--tls-port", String(tlsPort), ...WITH_CA];
    const made = prepared();
    // Nobody answers in plain on the port that it is given here.
    const starting = made.start({ argv, port: tlsPort }).catch((error: Error) => error);
    await eventually("it serves", () => isServed(tlsPort, certificateOf("client")));
    await (await client(tlsPort, certificateOf("client"))).call("SHUTDOWN").catch(() => {});
    expect(String(await starting)).toMatch(/ready on 127\.0\.0\.1, TLS port/);
  });

  test.each([
    ["yes", { none: false, good: true, strange: false }],
    ["optional", { none: true, good: true, strange: false }],
    ["no", { none: true, good: true, strange: true }],
  ])("tls-auth-clients %s", async (mode, expected) => {
    const { tlsPort } = await start(prepared(), ...WITH_CA, "--tls-auth-clients", mode);
    const served = {
      none: await isServed(tlsPort),
      good: await isServed(tlsPort, certificateOf("client")),
      strange: await isServed(tlsPort, certificateOf("stranger")),
    };
    expect(served).toEqual(expected);
  });

  test("tls-protocols and tls-ciphers hold, also when they are set", async () => {
    const { server, tlsPort } = await start(
      prepared(),
      ...SERVER,
      "--tls-auth-clients",
      "no",
      "--tls-protocols",
      "TLSv1.2",
    );
    const plain = await server.connect();
    expect((await dial(tlsPort)).getProtocol()).toBe("TLSv1.2");
    await expect(dial(tlsPort, { minVersion: "TLSv1.3" })).rejects.toThrow();
    await expect(dial(tlsPort, { maxVersion: "TLSv1.1", minVersion: "TLSv1" })).rejects.toThrow();
    await ask(plain, "CONFIG", "SET", "tls-ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384");
    expect((await dial(tlsPort)).getCipher().name).toBe("ECDHE-ECDSA-AES256-GCM-SHA384");
    await expect(dial(tlsPort, { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })).rejects.toThrow();
    await ask(plain, "CONFIG", "SET", "tls-protocols", "TLSv1.3", "tls-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256");
    const socket = await dial(tlsPort);
    expect([socket.getProtocol(), socket.getCipher().name]).toEqual(["TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"]);
    await expect(dial(tlsPort, { maxVersion: "TLSv1.2" })).rejects.toThrow();
    for (const [name, value] of [
      ["tls-ciphers", "NONSENSE"],
      ["tls-protocols", "TLSv1.1"],
    ]) {
      await expect(ask(plain, "CONFIG", "SET", name as string, value as string)).rejects.toThrow(ReplyError);
    }
    expect((await dial(tlsPort)).getProtocol()).toBe("TLSv1.3");
  });

  test("a new certificate is read at SIGHUP and at CONFIG SET; a bad one is refused, and the old one stays", async () => {
    const made = prepared();
    const { server, tlsPort } = await start(made, ...SERVER, "--tls-auth-clients", "no");
    const plain = await server.connect();
    const old = await client(tlsPort);
    const shown = async () => (await dial(tlsPort)).getPeerCertificate().subject.CN;
    expect(await shown()).toBe("server");

    // One file without the other does not fit.
    const bad = ask(plain, "CONFIG", "SET", "timeout", "77", "tls-cert-file", "second.pem");
    await expect(bad).rejects.toThrow(
      "ERR CONFIG SET failed (possibly related to argument 'tls-cert-file') - Unable to update TLS configuration. Check server logs.",
    );
    expect(server.log).toMatch(/TLS stays as it was: the TLS options do not fit together: .*key values mismatch/);
    expect(await ask(plain, "CONFIG", "GET", "tls-cert-file", "timeout")).toEqual([
      "tls-cert-file",
      "server.pem",
      "timeout",
      "0",
    ]);
    expect(await shown()).toBe("server");

    await ask(plain, "CONFIG", "SET", "tls-cert-file", "second.pem", "tls-key-file", "second.key");
    expect(await shown()).toBe("second");

    writeFileSync(made.path("second.pem"), "no certificate");
    server.signal("SIGHUP");
    await server.logged(/SIGHUP received, but the certificates stay as they were/);
    expect(await shown()).toBe("second");

    for (const end of ["pem", "key"]) copyFileSync(made.path(`server.${end}`), made.path(`second.${end}`));
    server.signal("SIGHUP");
    await server.logged(/SIGHUP received, certificates read anew/);
    expect(await shown()).toBe("server");
    expect(await ask(old, "PING")).toBe("PONG");
  });

  test("a key with a password is opened with it", async () => {
    const made = prepared();
    execFileSync("openssl", ["pkey", "-in", "server.key", "-aes256", "-passout", "pass:ke y", "-out", "locked.key"], {
      cwd: made.folder,
      stdio: "ignore",
    });
    const locked = ["--tls-cert-file", "server.pem", "--tls-key-file", "locked.key", "--tls-auth-clients", "no"];
    const { tlsPort } = await start(made, ...locked, "--tls-key-file-pass", "ke y");
    expect(await isServed(tlsPort)).toBe(true);
    const port = String(await freePort());
    const refused = await made.run(["--addr", "127.0.0.1:0", "--db", ":memory:", "--tls-port", port, ...locked]);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/can't listen for TLS: /);
  });

  test.each([
    [[], /No tls-cert-file configured!/],
    [["--tls-cert-file", "server.pem"], /No tls-key-file configured!/],
    [SERVER, /tls-ca-cert-file must be specified when tls-auth-clients is enabled/],
    [
      ["--tls-cert-file", "none.pem", "--tls-key-file", "server.key", "--tls-auth-clients", "no"],
      /can't read tls-cert-file: ENOENT/,
    ],
    [
      ["--tls-cert-file", "second.pem", "--tls-key-file", "server.key", "--tls-auth-clients", "no"],
      /key values mismatch/,
    ],
    [[...SERVER, "--tls-auth-clients", "no", "--tls-ciphers", "NONSENSE"], /the TLS options do not fit together/],
  ])("%j is refused at the start", async (args, error) => {
    const port = String(await freePort());
    const refused = await prepared().run(["--addr", "127.0.0.1:0", "--db", "x.db", "--tls-port", port, ...args]);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(error);
  });

  test("who speaks plain, says nothing, or leaves, disturbs nobody, and counts as a client meanwhile", async () => {
    const { server, tlsPort } = await start(prepared(), ...SERVER, "--tls-auth-clients", "no");
    const plain = await server.connect();
    const wrong = await RawClient.connect(tlsPort);
    wrong.send("PING\r\n");
    await wrong.closed;
    const silent = Array.from({ length: 3 }, () => connectPlain({ port: tlsPort, host: "127.0.0.1" }));
    onTestFinished(() => silent.forEach((socket) => void socket.destroy()));
    await Promise.all(silent.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
    expect(await isServed(tlsPort)).toBe(true);
    await ask(plain, "CONFIG", "SET", "maxclients", "4");
    expect(await isServed(tlsPort)).toBe(false);
    for (const socket of silent) socket.destroy();
    await eventually("there is room again", () => isServed(tlsPort));
    expect((await server.stop()).code).toBe(0);
  });

  test.skipIf(redisCli === undefined)("redis-cli --tls is served, with a certificate of its own", async () => {
    const made = prepared();
    const { tlsPort } = await start(made, ...WITH_CA);
    const files = ["--tls", "--cacert", "ca.pem", "--cert", "client.pem", "--key", "client.key"];
    const cli = (...args: string[]) =>
      runProgram("redis-cli", ["-h", "127.0.0.1", "-p", String(tlsPort), ...files, ...args], { cwd: made.folder });
    expect((await cli("SETBIT", "k", "7", "1")).stdout.trim()).toBe("0");
    expect((await cli("-3", "GET", "k")).stdout.trim()).toBe("\u0001");
    const without = ["-h", "127.0.0.1", "-p", String(tlsPort), "--tls", "--cacert", "ca.pem", "PING"];
    expect((await runProgram("redis-cli", without, { cwd: made.folder })).stdout).not.toContain("PONG");
  });
});
