/**
 * Turns arguments in the style of Go's flag package (`-addr=:6379 -db x -debug=false`), and in Redis' (`--bind 127.0.0.1 -::1`), into
 * the double-dash style that commander reads, so that scripts written for the Go bitmapist-server, or for redis-server, start this
 * one unchanged. What an option means, and whether it exists at all, is not known here.
 */
import { quoted } from "../options/line.js";

/** The options there are, by name without dashes. */
export interface FlagNames {
  /** Options that take a value. */
  valued: ReadonlySet<string>;
  /** Those of them that take all values up to the next option. */
  lists: ReadonlySet<string>;
  /** Options of Redis that are taken with all that stands behind them, and do nothing: `--without-effect` with the name stands for them. */
  isWithoutEffect: (name: string) => boolean;
  /** Options that are on or off. */
  switches: ReadonlySet<string>;
}

/** The spellings Go's strconv.ParseBool takes. */
const TRUE = ["1", "t", "T", "true", "TRUE", "True"];
const FALSE = ["0", "f", "F", "false", "FALSE", "False"];

/** Translates `args`; throws an Error with one line when a switch is given something that is neither true nor false. */
export function translateGoFlags(args: readonly string[], names: FlagNames): string[] {
  // Words that the Go server, and people, write in place of an option.
  if (args.length === 1 && (args[0] === "version" || args[0] === "help")) return [`--${args[0]}`];

  const translated: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === "--") return [...translated, ...args.slice(i)];

    const match = /^--?([A-Za-z][A-Za-z0-9-]*)(?:=(.*))?$/s.exec(arg);
    if (match === null) {
      translated.push(arg);
      continue;
    }
    const name = match[1] as string;
    const value = match[2];
    const dashes = name.length === 1 ? "-" : "--";
    if (names.lists.has(name) && value === undefined) {
      const values = valuesFrom(args, i + 1, names);
      i += values.length;
      translated.push(dashes + name, ...(values.length > 1 ? [values.map(asWord).join(" ")] : values));
    } else if (names.isWithoutEffect(name)) {
      i += value === undefined ? valuesFrom(args, i + 1, names).length : 0;
      translated.push("--without-effect", name);
    } else if (names.valued.has(name) && value === undefined) {
      translated.push(dashes + name);
      // The next argument is this option's value, even if it looks like an option.
      i++;
      if (i < args.length) translated.push(args[i] as string);
    } else if (names.switches.has(name) && value !== undefined) {
      if (parseBool(dashes + name, value)) translated.push(dashes + name);
    } else {
      translated.push(value === undefined ? dashes + name : `${dashes}${name}=${value}`);
    }
  }
  return translated;
}

/** The arguments from `start` up to the next that is an option. */
function valuesFrom(args: readonly string[], start: number, names: FlagNames): string[] {
  let end = start;
  while (end < args.length && !isOption(args[end] as string, names)) end++;
  return args.slice(start, end);
}

function isOption(arg: string, names: FlagNames): boolean {
  const name = /^-([A-Za-z][A-Za-z0-9-]*)(?:=.*)?$/s.exec(arg)?.[1];
  return arg.startsWith("--") || (name !== undefined && (names.valued.has(name) || names.switches.has(name)));
}

/** As one word of several in an argument. */
function asWord(arg: string): string {
  return /^[\w.:*/-]+$/.test(arg) ? arg : quoted(Buffer.from(arg, "utf8").toString("latin1"));
}

function parseBool(option: string, value: string): boolean {
  if (TRUE.includes(value)) return true;
  if (FALSE.includes(value)) return false;
  throw new Error(`option '${option}' is a switch: '${value}' is neither true nor false`);
}
