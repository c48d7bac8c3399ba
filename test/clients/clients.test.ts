/**
 * Every client of the matrix, with its defaults, with RESP2 and with RESP3, over TCP, TLS and a unix socket, against one server. What the
 * run has found is docs/clients.md: `UPDATE_README=1 npx vitest run test/clients/clients.test.ts` writes it anew.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask } from "../support/ask.js";
import { makeCertificate } from "../support/certificates.js";
import type { RawClient } from "../support/raw-client.js";
import { freePort, runProgram, Sandbox, type ServerProcess } from "../support/server-process.js";
import { findTool } from "../support/tools.js";
import { expectGenerated } from "../unit/docs/generated.js";
import { CLIENTS, type Client, type Protocol, programPath, SCENARIO, TRANSPORTS, type Transport } from "./matrix.js";

const DOCUMENT = "docs/clients.md";
const openssl = findTool("openssl", ["version"]);

/** What has gone well with a client. */
interface Found {
  version: string;
  defaultProtocol: string;
  did: Set<string>;
}

const found = new Map<Client, Found>();
const place = new Sandbox();
let server: ServerProcess;
let observer: RawClient;
let where: Record<Transport, string>;

beforeAll(async () => {
  if (openssl === undefined) return;
  makeCertificate(place, "ca", false);
  makeCertificate(place, "server", true);
  const tlsPort = await freePort();
  const tls = ["--tls-port", String(tlsPort), "--tls-cert-file", "server.pem", "--tls-key-file", "server.key"];
  const socket = place.path("server.sock");
  server = await place.start({ args: [...tls, "--tls-auth-clients", "no", "--unixsocket", socket] });
  observer = await server.connect();
  where = { tcp: String(server.port), tls: String(tlsPort), unix: socket };
});

afterAll(() => place.cleanup());

/** Runs the client's program. What it has printed, by its first words: version, ok and self. */
async function runClient(client: Client, transport: Transport, protocol: Protocol) {
  const [program, ...args] = client.command!;
  const asked = [...args, transport, where[transport], place.path("ca.pem"), protocol];
  const { code, signal, stdout, stderr } = await runProgram(program!, asked, { cwd: place.folder });
  expect({ code, signal, stderr }, stdout).toEqual({ code: 0, signal: null, stderr: "" });
  const said = (word: string) => [...stdout.matchAll(new RegExp(`^${word} (.*)$`, "gm"))].map(([, rest]) => rest!);
  return { version: said("version")[0]!, steps: said("ok"), self: said("self")[0] };
}

/** The commands that the server was sent since the last CONFIG RESETSTAT. */
async function commandsSeen(): Promise<Set<string>> {
  const stats = String(await ask(observer, "INFO", "commandstats"));
  return new Set([...stats.matchAll(/^cmdstat_([^:|]+)/gm)].map(([, name]) => name!));
}

const installed = openssl === undefined ? [] : CLIENTS.filter(({ command }) => command !== undefined);

describe.each(installed)("$name", (client) => {
  beforeAll(() => {
    if (client.compiler === undefined) return;
    execFileSync("cc", ["-o", client.command![0]!, programPath(client.program), ...client.compiler], {
      cwd: place.folder,
    });
  });

  const combinations = client.transports.flatMap((transport) =>
    client.protocols.map((protocol) => [transport, protocol] as const),
  );

  test.each(combinations)("over %s, protocol: %s", async (transport, protocol) => {
    await ask(observer, "CONFIG", "RESETSTAT");
    const { version, steps, self } = await runClient(client, transport, protocol);
    expect(steps).toEqual(client.steps.map(({ name }) => name));
    const seen = await commandsSeen();
    expect([...seen]).toEqual(expect.arrayContaining(client.steps.flatMap(({ commands }) => commands)));

    // A client that can't be asked what it speaks has said HELLO for RESP3.
    const speaks = self === undefined ? (seen.has("hello") ? "3" : "2") : / resp=([23])\b/.exec(self)?.[1];
    if (protocol === "default") expect(["2", "3"]).toContain(speaks);
    else expect(speaks).toBe(protocol);
    if (self !== undefined) expect(self).toContain(` laddr=${addressOf(transport)} `);

    const before = found.get(client) ?? { version, defaultProtocol: "", did: new Set<string>() };
    if (protocol === "default") before.defaultProtocol = `RESP${speaks}`;
    before.did.add(`RESP${speaks}`).add(TRANSPORTS[transport]);
    found.set(client, before);
  });
});

/** This end of a connection, as CLIENT INFO tells it. */
function addressOf(transport: Transport): string {
  return transport === "unix" ? `${where.unix}:0` : `127.0.0.1:${where[transport]}`;
}

/** 6.3.1 is 6; of 0.14.1, which is not the first version, 0.14 is told. */
function majorOf(version: string): string {
  return /^(?:0\.)*\d+/.exec(version)![0];
}

/** The client's line of the table. */
function rowOf(client: Client, { version, defaultProtocol, did }: Found): string {
  const abilities = ["RESP2", "RESP3", ...Object.values(TRANSPORTS)] as const;
  const cells = abilities.map((ability) => (did.has(ability) ? "yes" : "–"));
  const reasons = Object.entries(client.cannot).map(([ability, why]) => `${ability}: ${why}`);
  return `| ${[client.name, majorOf(version), client.source, defaultProtocol, ...cells, reasons.join("; ")].join(" | ")} |`;
}

/**
 * The table. A client that is not installed, or not in the version that the document tells of, has the line that is there: other systems
 * have other versions.
 */
function table(): string {
  const documented = readFileSync(new URL(`../../${DOCUMENT}`, import.meta.url), "utf8").split("\n");
  const lines = CLIENTS.map((client) => {
    const old = documented.find((line) => line.startsWith(`| ${client.name} | `)) ?? `${client.name} is missing`;
    const result = found.get(client);
    if (result === undefined) return old;
    const isOther = !old.startsWith(`| ${client.name} | ${majorOf(result.version)} | `);
    if (isOther && process.env.UPDATE_README !== "1" && client.source.startsWith("Debian")) {
      console.log(`${DOCUMENT} does not tell of ${client.name} ${result.version}, which is installed here`);
      return old;
    }
    return rowOf(client, result);
  });
  return [
    `| client | version | from | by default | RESP2 | RESP3 | ${Object.values(TRANSPORTS).join(" | ")} | what it can't |`,
    "|---|---|---|---|---|---|---|---|---|---|",
    ...lines,
    "",
  ].join("\n");
}

/** The lines of a program between its marks, without their indentation. */
function connecting(program: string): string {
  const lines = readFileSync(programPath(program), "utf8").split("\n");
  const begin = lines.findIndex((line) => line.includes("[connect]"));
  const end = lines.findIndex((line) => line.includes("[/connect]"));
  if (begin < 0 || end < begin) throw new Error(`${program} does not mark how it connects`);
  const indent = /^\s*/.exec(lines[begin]!)![0];
  const shown = lines.slice(begin + 1, end);
  return shown.map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line)).join("\n");
}

const LANGUAGES: Readonly<Record<string, string>> = {
  mjs: "js",
  py: "python",
  c: "c",
  php: "php",
  rb: "ruby",
  pl: "perl",
  lua: "lua",
  sh: "sh",
};

function recipes(): string {
  const programs = [...new Set(CLIENTS.map(({ program }) => program))];
  const parts = programs.map((program) => {
    const names = CLIENTS.filter((client) => client.program === program).map(({ name }) => name);
    const language = LANGUAGES[program.replace(/.*\./, "")]!;
    return `### ${names.join(", ")}\n\n\`\`\`${language}\n${connecting(program)}\n\`\`\`\n`;
  });
  return parts.join("\n");
}

test("what a client is not seen to do has its reason, and nothing else", () => {
  for (const [client, { did }] of found) {
    const missing = ["RESP2", "RESP3", ...Object.values(TRANSPORTS)].filter((ability) => !did.has(ability));
    expect({ [client.name]: Object.keys(client.cannot).sort() }).toEqual({ [client.name]: missing.sort() });
  }
});

test("docs/clients.md has a table of what this run has found", () => {
  expectGenerated(DOCUMENT, "clients", table());
});

test("docs/clients.md tells what each client is asked to do, and how it connects", () => {
  expectGenerated(DOCUMENT, "asked", SCENARIO.map(({ what }) => `- ${what}\n`).join(""));
  expectGenerated(DOCUMENT, "connecting", recipes());
});
