/**
 * The kinds of values that options have: how each is read from the words behind its name, checked, and written again, in Redis'
 * words when it is wrong. Words are bytes, as latin1 strings: a configuration file, CONFIG SET and the command line give the same.
 */
import { EVENT_LETTERS, formatEventClasses, parseEventClasses } from "../event-classes.js";
import { parseMemorySize } from "../memory-size.js";
import { quoted } from "./line.js";

/** The words are no value of the option. `message` is what Redis says then. */
export class OptionError extends Error {}

export interface Kind<T> {
  /** How the usage shows the value, with its unit. */
  readonly placeholder: string;
  /** It takes several words; one with spaces in it stands for several, too. */
  readonly isList?: true;
  /** The value that `words` mean; `before` is that of earlier lines. Throws OptionError. */
  parse(words: readonly string[], before: T): T;
  /** What CONFIG GET answers, as bytes. */
  show(value: T): string;
  /** What stands behind the name in a configuration file: one text for each line. */
  lines(value: T): string[];
}

const WRONG_NUMBER = "wrong number of arguments";
const PORT_MAX = 65_535;
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const UNITS = [
  ["gb", 1024 ** 3],
  ["mb", 1024 ** 2],
  ["kb", 1024],
] as const;

/** Of one word. */
function single<T>(placeholder: string, parse: (word: string) => T, show: (value: T) => string): Kind<T> {
  return {
    placeholder,
    parse: (words) => {
      if (words.length !== 1) throw new OptionError(WRONG_NUMBER);
      return parse(words[0] as string);
    },
    show,
    lines: (value) => [quoted(show(value))],
  };
}

/** Of several words. One word is split at its spaces, since CONFIG SET has one for all. */
function list<T>(
  placeholder: string,
  parse: (words: readonly string[], before: T) => T,
  show: (value: T) => string,
  lines: (value: T) => string[],
): Kind<T> {
  return {
    placeholder,
    isList: true,
    parse: (words, before) => {
      if (words.length === 0) throw new OptionError(WRONG_NUMBER);
      return parse(words.length === 1 ? (words[0] as string).split(" ") : words, before);
    },
    show,
    lines,
  };
}

/** Throws where a number is none that is allowed. `shown` writes the ends of the range. */
function checkRange(value: number, min: number, max: number, shown: (end: number) => string = String): number {
  if (value >= min && value <= max) return value;
  throw new OptionError(`argument must be between ${shown(min)} and ${shown(max)} inclusive`);
}

/** A whole number as Redis reads it: no plus, no leading zeros, 64 bits. `placeholder` tells the unit. */
export function integer(placeholder: string, min: number, max: number): Kind<number> {
  const parse = (word: string): number => {
    const isNumber = /^(?:0|-?[1-9][0-9]{0,18})$/.test(word) && BigInt(word) >= INT64_MIN && BigInt(word) <= INT64_MAX;
    if (!isNumber) throw new OptionError("argument couldn't be parsed into an integer");
    return checkRange(Number(word), min, max, shownInteger);
  };
  return single(placeholder, parse, shownInteger);
}

/** The end of a range that has none but that of 64 bits. As a number it is one more than the largest integer, which is said for it. */
export const INT64_END = 2 ** 63;

/** All digits, which String has not from 2^53 on. There a number stands for its neighbours too, and is shown as the one that it is. */
function shownInteger(value: number): string {
  return value === INT64_END ? String(INT64_MAX) : String(BigInt(value));
}

/** What the option `port` is where there is no TCP. In ServerOptions 0 lets the system choose, as `--addr HOST:0` asks for. */
export const NO_PORT = -1;

/** A TCP port; 0 is none. */
export function port(): Kind<number> {
  const number = integer("<port>", 0, PORT_MAX);
  return {
    ...number,
    parse: (words, before) => number.parse(words, before) || NO_PORT,
    show: (value) => String(Math.max(value, 0)),
    lines: (value) => [String(Math.max(value, 0))],
  };
}

/** Bytes, with Redis' units: `512mb`, `1g`. */
export function memory(min: number, max: number): Kind<number> {
  const parse = (word: string): number => {
    const bytes = parseMemorySize(word);
    if (bytes === undefined) throw new OptionError("argument must be a memory value");
    return checkRange(bytes, min, max);
  };
  return { ...single("<size>", parse, String), lines: (value) => [shownSize(value)] };
}

function shownSize(bytes: number): string {
  const unit = UNITS.find(([, size]) => bytes >= size && bytes % size === 0);
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`;
}

/** A number in base 8, as chmod takes it. */
export function octal(placeholder: string, max: number): Kind<number> {
  const show = (value: number) => value.toString(8);
  const parse = (word: string): number => {
    if (!/^[0-7]+$/.test(word)) throw new OptionError("argument couldn't be parsed as an octal number");
    return checkRange(Number.parseInt(word, 8), 0, max, show);
  };
  return single(placeholder, parse, show);
}

export const yesNo: Kind<boolean> = single(
  "<yes|no>",
  (word) => {
    const lower = word.toLowerCase();
    if (lower !== "yes" && lower !== "no") throw new OptionError("argument must be 'yes' or 'no'");
    return lower === "yes";
  },
  (value) => (value ? "yes" : "no"),
);

/** One of some words, in any case. */
export function choice<T extends string>(choices: readonly T[]): Kind<T> {
  const parse = (word: string): T => {
    const chosen = choices.find((each) => each === word.toLowerCase());
    if (chosen !== undefined) return chosen;
    throw new OptionError(`argument(s) must be one of the following: ${choices.join(", ")}`);
  };
  return single(`<${choices.join("|")}>`, parse, (value) => value);
}

/** Bytes that mean nothing but themselves, as a latin1 string. */
export function bytes(placeholder: string): Kind<string> {
  return single(
    placeholder,
    (word) => word,
    (value) => value,
  );
}

/** Text for people and file systems: UTF-8 outside, characters inside. */
export function text(placeholder: string, check: (value: string) => void = () => {}): Kind<string> {
  const parse = (word: string): string => {
    const value = fromBytes(word);
    check(value);
    return value;
  };
  return single(placeholder, parse, toBytes);
}

export function fromBytes(latin1: string): string {
  return Buffer.from(latin1, "latin1").toString("utf8");
}

export function toBytes(characters: string): string {
  return Buffer.from(characters, "utf8").toString("latin1");
}

/** Words that are all of the same sort; none at all is written as one empty word. `check` throws what is wrong with one. */
export function words(
  placeholder: string,
  max: number,
  check: (word: string) => void = () => {},
): Kind<readonly string[]> {
  const show = (value: readonly string[]) => value.join(" ");
  const parse = (given: readonly string[]): string[] => {
    const kept = given.filter((word) => word !== "");
    if (kept.length > max) throw new OptionError(WRONG_NUMBER);
    kept.forEach(check);
    return kept;
  };
  return list(placeholder, parse, show, (value) => [value.length === 0 ? '""' : value.map(quoted).join(" ")]);
}

/** A command's name and the name that it has here; an empty one takes the command away. Lines add up. */
export interface Renaming {
  from: string;
  to: string;
}

export const renamings: Kind<readonly Renaming[]> = list<readonly Renaming[]>(
  "<command> <name>",
  ([from, to, ...more], before) => {
    if (from === undefined || to === undefined || more.length > 0) {
      throw new OptionError("Bad directive or wrong number of arguments");
    }
    return [...before, { from, to }];
  },
  () => "",
  (value) => value.map(({ from, to }) => `${quoted(from)} ${quoted(to)}`),
);

/** A user's name and rules, as ACL SETUSER has them. */
export interface UserRules {
  name: string;
  rules: readonly string[];
}

export const userRules: Kind<readonly UserRules[]> = list<readonly UserRules[]>(
  "<name> <rules>",
  ([name, ...rules], before) => {
    if (name === undefined) throw new OptionError(WRONG_NUMBER);
    return [...before, { name, rules: rules.filter((rule) => rule !== "") }];
  },
  () => "",
  (value) => value.map(({ name, rules }) => [name, ...rules].map(quoted).join(" ")),
);

/** The server that this one is a replica of. */
export interface Master {
  readonly host: string;
  readonly port: number;
}

/** A master's host and port; `no one` is none. */
export const master: Kind<Master | undefined> = list<Master | undefined>(
  "<host port>",
  (given) => {
    const [host, port, ...more] = given;
    if (host === undefined || port === undefined || more.length > 0) throw new OptionError(WRONG_NUMBER);
    if (host.toLowerCase() === "no" && port.toLowerCase() === "one") return undefined;
    if (!/^(?:0|[1-9][0-9]{0,4})$/.test(port) || Number(port) > PORT_MAX) throw new OptionError("Invalid master port");
    return { host, port: Number(port) };
  },
  (value) => (value === undefined ? "" : `${value.host} ${value.port}`),
  (value) => [value === undefined ? "no one" : `${quoted(value.host)} ${value.port}`],
);

/** Percentiles, `0` to `100`. */
export const percentiles: Kind<readonly number[]> = list<readonly number[]>(
  "<percentiles>",
  (given) => {
    const numbers = given.filter((word) => word !== "").map(Number);
    if (numbers.some(Number.isNaN)) throw new OptionError("Invalid latency-tracking-info-percentiles parameters");
    if (numbers.some((number) => number < 0 || number > 100)) {
      throw new OptionError("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    }
    return numbers;
  },
  (value) => value.join(" "),
  (value) => [value.length === 0 ? '""' : value.join(" ")],
);

/** Redis' letters for classes of keyspace events. */
export const eventClasses: Kind<ReadonlySet<string>> = single(
  "<letters>",
  (word) => {
    const letters = parseEventClasses(word);
    if (letters === undefined) throw new OptionError(`Invalid event class character. Use '${EVENT_LETTERS}'.`);
    return letters;
  },
  formatEventClasses,
);

/** The classes of clients that a limit of unsent replies is for, by Redis' names. `slave` is another word for `replica`. */
export const OUTPUT_CLASSES = ["normal", "slave", "pubsub"] as const;
export type OutputClass = (typeof OUTPUT_CLASSES)[number];

/** How much may wait to be sent to a client before it is closed: never more than `hardBytes`, nor `softBytes` for so long. 0 is no limit. */
export interface OutputLimit {
  hardBytes: number;
  softBytes: number;
  softSeconds: number;
}
export type OutputLimits = Readonly<Record<OutputClass, OutputLimit>>;

const INT32_MAX = 2 ** 31 - 1;
const WORDS_PER_CLASS = 4;

export const outputLimits: Kind<OutputLimits> = list<OutputLimits>(
  "<class> <hard> <soft> <seconds>",
  (given, before) => {
    if (given.length === 1 && given[0] === "") return before;
    if (given.length % WORDS_PER_CLASS !== 0) {
      throw new OptionError("Wrong number of arguments in buffer limit configuration.");
    }
    const limits = { ...before };
    for (let i = 0; i < given.length; i += WORDS_PER_CLASS) {
      const [name, hard, soft, seconds] = given.slice(i, i + WORDS_PER_CLASS) as [string, string, string, string];
      limits[outputClass(name)] = outputLimit(hard, soft, seconds);
    }
    return limits;
  },
  (value) => outputLimitTexts(value, String).join(" "),
  (value) => outputLimitTexts(value, shownSize),
);

function outputClass(name: string): OutputClass {
  const lower = name.toLowerCase();
  const found = OUTPUT_CLASSES.find((each) => each === (lower === "replica" ? "slave" : lower));
  if (found === undefined) throw new OptionError("Invalid client class specified in buffer limit configuration.");
  return found;
}

function outputLimit(hard: string, soft: string, seconds: string): OutputLimit {
  const hardBytes = parseMemorySize(hard);
  const softBytes = parseMemorySize(soft);
  const softSeconds = /^[0-9]{1,10}$/.test(seconds) ? Number(seconds) : INT32_MAX + 1;
  if (hardBytes === undefined || softBytes === undefined || softSeconds > INT32_MAX) {
    throw new OptionError("Error in hard, soft or soft_seconds setting in buffer limit configuration.");
  }
  return { hardBytes, softBytes, softSeconds };
}

function outputLimitTexts(limits: OutputLimits, size: (bytes: number) => string): string[] {
  return OUTPUT_CLASSES.map((name) => {
    const { hardBytes, softBytes, softSeconds } = limits[name];
    return `${name} ${size(hardBytes)} ${size(softBytes)} ${softSeconds}`;
  });
}
