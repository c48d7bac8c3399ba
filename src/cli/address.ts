/**
 * HOST:PORT, the way Go's net package writes an address: `:6379` is every interface, IPv6 stands in brackets.
 * Pure text; whether the host exists is for the listener to find out.
 */
import { InvalidArgumentError } from "commander";

const PORT_MAX = 65535;

export interface Address {
  /** undefined means all interfaces. */
  host: string | undefined;
  /** 0 lets the system choose. */
  port: number;
}

/** Reads `text`; a mistake throws with a sentence that says how to write it. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^[\]]+)\]|([^[\]:]*)):([^:]*)$/.exec(text);
  if (match === null) throw new InvalidArgumentError(mistake(text));
  const host = match[1] ?? match[2] ?? "";
  if (/\s/.test(host)) throw new InvalidArgumentError("The host contains a space.");
  return { host: host === "" ? undefined : host, port: parsePort(match[3] ?? "") };
}

/** Whether an entry of `bind` accepts connections from every network this machine is on. */
export function isAllInterfaces(entry: string): boolean {
  return ["*", "0.0.0.0", "::", "::*"].includes(entry.replace(/^-/, ""));
}

function parsePort(text: string): number {
  if (text === "") throw new InvalidArgumentError("The port is missing: write HOST:PORT.");
  const port = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || port > PORT_MAX) {
    throw new InvalidArgumentError(`The port must be a number from 0 to ${PORT_MAX}.`);
  }
  return port;
}

function mistake(text: string): string {
  if (text === "") return "Write HOST:PORT.";
  if (/^[0-9]+$/.test(text)) return `Write HOST:PORT, or :${text} for all interfaces.`;
  if (/[[\]]/.test(text) || /:.*:/.test(text)) return "Write an IPv6 address in brackets, as in [::1]:6379.";
  return "The port is missing: write HOST:PORT.";
}
