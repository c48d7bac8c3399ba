/**
 * What a differential run is made of: steps that any server of the protocol can take, as plain data, so that fast-check can
 * shrink them and a transcript can keep them.
 */

/** The time at which every run begins. The odd milliseconds make rounding visible. */
export const START_MS = 1_800_000_000_123;

/** Keys the generators use: few, so that commands meet; with the empty key, bytes that are no UTF-8, and glob characters. */
export const KEYS = ["a", "b", "c", "", "k*[x]?\\", "\x00\xff\r\n\x80"] as const;

/** Databases the generators use, beside invalid ones. */
export const DATABASES = [0, 1, 9, 15] as const;

/** An argument: bytes as latin1, or an absolute time said from the moment the step is taken, in its unit. */
export type Arg = string | { readonly inMs: number } | { readonly inSeconds: number };

export type Step =
  /** One command on one of the two connections. */
  | { readonly kind: "call"; readonly conn: number; readonly argv: readonly Arg[] }
  /** Both clocks go forward. */
  | { readonly kind: "clock"; readonly ms: number }
  /** SCAN with these options from cursor 0 until it is 0 again. */
  | { readonly kind: "scan"; readonly conn: number; readonly options: readonly string[] }
  /** Commands whose replies CLIENT REPLY OFF keeps back. */
  | { readonly kind: "silent"; readonly conn: number; readonly commands: readonly (readonly Arg[])[] }
  /** A command whose reply CLIENT REPLY SKIP keeps back, and a PING whose reply comes. */
  | { readonly kind: "skip"; readonly conn: number; readonly argv: readonly Arg[] }
  /** QUIT, and a new connection in its place. */
  | { readonly kind: "quit"; readonly conn: number };

export function resolveArg(arg: Arg, nowMs: number): string {
  if (typeof arg === "string") return arg;
  if ("inMs" in arg) return String(nowMs + arg.inMs);
  return String(Math.floor(nowMs / 1000) + arg.inSeconds);
}

/** As one would type it into redis-cli, times said relatively. */
export function formatStep(step: Step): string {
  switch (step.kind) {
    case "clock":
      return `-- clock +${step.ms} ms`;
    case "call":
      return `${step.conn}> ${formatArgv(step.argv)}`;
    case "scan":
      return `${step.conn}> (to completion) ${formatArgv(["SCAN", "0", ...step.options])}`;
    case "silent":
      return `${step.conn}> (CLIENT REPLY OFF) ${step.commands.map(formatArgv).join("; ")}`;
    case "skip":
      return `${step.conn}> (CLIENT REPLY SKIP) ${formatArgv(step.argv)}; PING`;
    case "quit":
      return `${step.conn}> QUIT`;
  }
}

export function formatArgv(argv: readonly Arg[]): string {
  return argv.map(formatArg).join(" ");
}

function formatArg(arg: Arg): string {
  if (typeof arg !== "string") return "inMs" in arg ? `<now${signed(arg.inMs)}ms>` : `<now${signed(arg.inSeconds)}s>`;
  if (/^[\w.:+*?@-]+$/.test(arg)) return arg;
  return formatBytes(arg);
}

function signed(n: number): string {
  return n < 0 ? String(n) : `+${n}`;
}

/** Bytes in quotes, as redis-cli shows and takes them; long ones shortened. */
export function formatBytes(bytes: string): string {
  const shown = bytes.length > 300 ? bytes.slice(0, 200) : bytes;
  const escaped = shown.replace(/[^\x20-\x7e]|["\\]/g, (c) => {
    if (c === "\r") return "\\r";
    if (c === "\n") return "\\n";
    if (c === '"' || c === "\\") return `\\${c}`;
    return `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return shown === bytes ? `"${escaped}"` : `"${escaped}"... (${bytes.length} bytes)`;
}
