/** MONITOR: a client is shown every command that runs, in Redis' form. While nobody monitors, a command costs a look at `isOn`. */
import { MONITOR_LINE_BYTES_MAX } from "../../config.js";
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { REDACTED, secretArguments } from "../secrets.js";

const IN_TRANSACTION = new CommandError("ERR MONITOR isn't allowed for DENY BLOCKING client");

export class Monitors {
  /** Whether there are any. */
  isOn = false;
  readonly #clients = new Set<Client>();

  add(client: Client): void {
    this.#clients.add(client);
    this.isOn = true;
  }

  delete(client: Client): void {
    this.#clients.delete(client);
    this.isOn = this.#clients.size > 0;
  }

  /** Shows a command that has run, unless it is one for administrators. */
  show(client: Client, { flags, name }: Command, argv: Argv): void {
    if (flags.includes("admin")) return;
    const line = Buffer.from(lineOf(client, name, argv), "latin1");
    for (const monitor of this.#clients) {
      if (monitor.replyMode === "on" && !monitor.closing) monitor.peer.push(line);
    }
  }
}

/** As `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`: the time in seconds, the database and the client, the arguments. */
function lineOf({ server: { keyspace }, database, peer }: Client, command: string, argv: Argv): string {
  const seconds = Math.floor(keyspace.now / 1000);
  const microseconds = String(Math.floor((keyspace.now % 1000) * 1000)).padStart(6, "0");
  const secrets = secretArguments(command, argv);
  const shown: string[] = [];
  let bytes = 0;
  for (let i = 0; i < argv.length; i++) {
    bytes += argv.byteLength(i);
    if (bytes > MONITOR_LINE_BYTES_MAX) {
      shown.push(`"... (${argv.length - i} more arguments)"`);
      break;
    }
    shown.push(quoted(secrets.has(i) ? REDACTED : argv.string(i)));
  }
  return `+${seconds}.${microseconds} [${database.number} ${peer.address}] ${shown.join(" ")}\r\n`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  '"': '\\"',
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\x07": "\\a",
  "\b": "\\b",
};

/** An argument between quotes, all that is not printable ASCII escaped. */
function quoted(text: string): string {
  const hex = (char: string) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return `"${text.replace(/[^ -~]|["\\]/g, (char) => ESCAPES[char] ?? hex(char))}"`;
}

/** MONITOR: from one that monitors already, it gets no answer (Redis). */
function monitor(client: Client, _argv: Argv, reply: Reply): void {
  if (client.transaction !== undefined) throw IN_TRANSACTION;
  if (client.isMonitor) return;
  client.isMonitor = true;
  client.server.monitors.add(client);
  reply.ok();
}

export const MONITOR_COMMANDS: readonly Command[] = [
  {
    name: "monitor",
    arity: 1,
    flags: ["admin", "noscript", "loading", "stale"],
    group: "server",
    since: "1.0.0",
    summary: "Shows all commands that run, of all connections.",
    differs:
      "times are to the millisecond; of a request, 1 MB is shown; who does not read is closed as a subscriber is",
    handler: monitor,
  },
];
