/** A user: whether it may log in, with which passwords, and what it may do. Each rule of ACL SETUSER changes one of these. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { PubsubDefault } from "../../config.js";
import { CommandError } from "../../errors.js";
import { compileGlob, type Matcher } from "../../keyspace/glob.js";
import type { Argv } from "../../resp/argv.js";
import type { Command } from "../command.js";
import type { CommandPermissions } from "./permissions.js";
import { hasSpace } from "./words.js";

const BAD_RULE = new CommandError("Syntax error");
const BAD_HASH = new CommandError(
  "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters",
);
const NO_SUCH_PASSWORD = new CommandError("The password you are trying to remove from the user does not exist");
const SHADOWED_KEYS = new CommandError(
  "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns",
);
const SHADOWED_CHANNELS = new CommandError(
  "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels",
);

/** What is done with a key: a pattern says what may be done, a key spec what a command does. */
export interface KeyAccess {
  reads: boolean;
  writes: boolean;
}

interface KeyPattern extends KeyAccess {
  readonly pattern: string;
  readonly matches: Matcher;
}

/** All that rules change. */
interface Facts {
  isOn: boolean;
  /** It needs no password: any is right. */
  nopass: boolean;
  /** Kept and shown; every payload of RESTORE is checked here. */
  sanitize: "sanitize-payload" | "skip-sanitize-payload" | undefined;
  /** SHA-256 of the passwords, in hexadecimal. */
  passwords: Set<string>;
  allKeys: boolean;
  keys: KeyPattern[];
  allChannels: boolean;
  channels: Map<string, Matcher>;
  commands: CommandPermissions;
}

export class User {
  readonly name: string;
  #facts: Facts;

  /** A new user: off, without passwords or keys. It may run what `commands` says. */
  constructor(name: string, commands: CommandPermissions) {
    this.name = name;
    this.#facts = {
      isOn: false,
      nopass: false,
      sanitize: undefined,
      passwords: new Set(),
      allKeys: false,
      keys: [],
      allChannels: false,
      channels: new Map(),
      commands,
    };
  }

  /** A user of the same name who may do the same. */
  clone(): User {
    const clone = new User(this.name, this.#facts.commands);
    clone.become(this);
    return clone;
  }

  /** Takes over what another one may do. */
  become(other: User): void {
    const facts = other.#facts;
    this.#facts = {
      ...facts,
      passwords: new Set(facts.passwords),
      keys: facts.keys.map((pattern) => ({ ...pattern })),
      channels: new Map(facts.channels),
      commands: facts.commands.clone(),
    };
  }

  get isOn(): boolean {
    return this.#facts.isOn;
  }

  get nopass(): boolean {
    return this.#facts.nopass;
  }

  /** There is nothing that the user may not do. */
  get isUnrestricted(): boolean {
    const { allKeys, allChannels, commands } = this.#facts;
    return allKeys && allChannels && commands.allowsAll;
  }

  /** Whether this password lets the user in. Takes a time that tells nothing of the passwords. */
  takes(password: Uint8Array): boolean {
    const { isOn, nopass, passwords } = this.#facts;
    const given = Buffer.from(hashOf(password));
    let isRight = nopass;
    for (const hash of passwords) isRight = timingSafeEqual(given, Buffer.from(hash)) || isRight;
    return isOn && isRight;
  }

  mayRun(command: Command, argv: Argv): boolean {
    return this.#facts.commands.allows(command, argv);
  }

  get hasAllKeys(): boolean {
    return this.#facts.allKeys;
  }

  /** Whether one pattern allows all of that; for what neither reads nor writes the value (EXISTS), any that matches. */
  mayAccess(key: string, { reads, writes }: KeyAccess): boolean {
    const { allKeys, keys } = this.#facts;
    return (
      allKeys ||
      keys.some((pattern) => (!reads || pattern.reads) && (!writes || pattern.writes) && pattern.matches(key))
    );
  }

  /** Whether the user may use a channel; to subscribe to a pattern, that very pattern must be among the user's. */
  mayUseChannel(channel: string, isPattern: boolean): boolean {
    const { allChannels, channels } = this.#facts;
    if (allChannels) return true;
    return isPattern ? channels.has(channel) : [...channels.values()].some((matches) => matches(channel));
  }

  /**
   * Applies one rule. Throws a CommandError with what is wrong with it, and then nothing has changed.
   * `reset` leaves the user with the channels of `pubsubDefault`.
   */
  apply(rule: string, pubsubDefault: PubsubDefault): void {
    if (rule === "") return;
    const word = WORDS.get(rule.toLowerCase());
    if (word !== undefined) return word(this.#facts, pubsubDefault);
    const sign = SIGNS[rule.charAt(0)];
    if (sign === undefined) throw BAD_RULE;
    sign(this.#facts, rule);
  }

  /** The words that ACL GETUSER shows as its flags. */
  get flags(): string[] {
    const { isOn, nopass, sanitize } = this.#facts;
    return [isOn ? "on" : "off", ...(nopass ? ["nopass"] : []), ...(sanitize === undefined ? [] : [sanitize])];
  }

  get passwords(): string[] {
    return [...this.#facts.passwords];
  }

  get commandRules(): string {
    return this.#facts.commands.rules;
  }

  get keyPatterns(): string {
    const { allKeys, keys } = this.#facts;
    return allKeys ? "~*" : keys.map(describeKeyPattern).join(" ");
  }

  get channelPatterns(): string {
    const { allChannels, channels } = this.#facts;
    return allChannels ? "&*" : [...channels.keys()].map((channel) => `&${channel}`).join(" ");
  }

  /** The rules that make the user, as files hold them. */
  get rules(): string[] {
    const channels = this.#facts.allChannels ? "&*" : `resetchannels ${this.channelPatterns}`;
    const passwords = this.passwords.map((hash) => `#${hash}`);
    const parts = [...this.flags, ...passwords, this.keyPatterns, channels, this.commandRules];
    return parts.flatMap((part) => part.split(" ")).filter((rule) => rule !== "");
  }

  /** The user as ACL LIST shows it and the file of users holds it. */
  describe(): string {
    return `user ${this.name} ${this.rules.join(" ")}`;
  }
}

function describeKeyPattern({ pattern, reads, writes }: KeyPattern): string {
  if (reads && writes) return `~${pattern}`;
  return `%${reads ? "R" : "W"}~${pattern}`;
}

function hashOf(password: Uint8Array): string {
  return createHash("sha256").update(password).digest("hex");
}

type Word = (facts: Facts, pubsubDefault: PubsubDefault) => void;

/** Rules that are one word, in any case. */
const WORDS: ReadonlyMap<string, Word> = new Map(
  Object.entries<Word>({
    on: (facts) => {
      facts.isOn = true;
    },
    off: (facts) => {
      facts.isOn = false;
    },
    nopass: (facts) => {
      facts.nopass = true;
      facts.passwords.clear();
    },
    resetpass: (facts) => {
      facts.nopass = false;
      facts.passwords.clear();
    },
    "sanitize-payload": (facts) => {
      facts.sanitize = "sanitize-payload";
    },
    "skip-sanitize-payload": (facts) => {
      facts.sanitize = "skip-sanitize-payload";
    },
    // There are no selectors here, so there is nothing to clear.
    clearselectors: () => {},
    allkeys: allowAllKeys,
    "~*": allowAllKeys,
    resetkeys: (facts) => {
      facts.allKeys = false;
      facts.keys = [];
    },
    allchannels: allowAllChannels,
    "&*": allowAllChannels,
    resetchannels: (facts) => {
      facts.allChannels = false;
      facts.channels.clear();
    },
    allcommands: (facts) => facts.commands.apply("+@all"),
    nocommands: (facts) => facts.commands.apply("-@all"),
    reset: (facts, pubsubDefault) => {
      for (const rule of ["off", "resetpass", "sanitize-payload", "resetkeys", "resetchannels", "nocommands"]) {
        WORDS.get(rule)?.(facts, pubsubDefault);
      }
      if (pubsubDefault === "allchannels") allowAllChannels(facts);
    },
  }),
);

/** Rules that begin with a sign. */
const SIGNS: Readonly<Record<string, (facts: Facts, rule: string) => void>> = {
  ">": (facts, rule) => addPassword(facts, hashOf(Buffer.from(rule.slice(1), "latin1"))),
  "#": (facts, rule) => addPassword(facts, checkHash(rule.slice(1))),
  "<": (facts, rule) => removePassword(facts, hashOf(Buffer.from(rule.slice(1), "latin1"))),
  "!": (facts, rule) => removePassword(facts, checkHash(rule.slice(1))),
  "~": (facts, rule) => addKeyPattern(facts, rule.slice(1), { reads: true, writes: true }),
  "%": addKeyPatternWithAccess,
  "&": addChannel,
  "+": (facts, rule) => facts.commands.apply(rule),
  "-": (facts, rule) => facts.commands.apply(rule),
};

function allowAllKeys(facts: Facts): void {
  facts.allKeys = true;
  facts.keys = [];
}

function allowAllChannels(facts: Facts): void {
  facts.allChannels = true;
  facts.channels.clear();
}

function addPassword(facts: Facts, hash: string): void {
  facts.nopass = false;
  facts.passwords.add(hash);
}

function removePassword(facts: Facts, hash: string): void {
  if (!facts.passwords.delete(hash)) throw NO_SUCH_PASSWORD;
}

function checkHash(hash: string): string {
  if (!/^[0-9a-f]{64}$/.test(hash)) throw BAD_HASH;
  return hash;
}

/** `%R~pattern`, `%W~pattern`, `%RW~pattern`. */
function addKeyPatternWithAccess(facts: Facts, rule: string): void {
  if (facts.allKeys) throw SHADOWED_KEYS;
  // Redis takes a rule that ends before the `~` too, as one of the empty pattern.
  const [, letters, pattern] = /^%(R|W|RW|WR)(?:~(.*))?$/is.exec(rule) ?? [];
  if (letters === undefined) throw BAD_RULE;
  addKeyPattern(facts, pattern ?? "", { reads: /R/i.test(letters), writes: /W/i.test(letters) });
}

function addKeyPattern(facts: Facts, pattern: string, { reads, writes }: KeyAccess): void {
  if (facts.allKeys) throw SHADOWED_KEYS;
  if (hasSpace(pattern)) throw BAD_RULE;
  const known = facts.keys.find((each) => each.pattern === pattern);
  if (known === undefined) facts.keys.push({ pattern, matches: matcherOf(pattern), reads, writes });
  else {
    known.reads ||= reads;
    known.writes ||= writes;
  }
}

/** As in Redis only the empty pattern matches the empty name: what KEYS does with `*` is an exception. */
function matcherOf(pattern: string): Matcher {
  const matches = compileGlob(pattern);
  return (name) => (name === "" ? pattern === "" : matches(name));
}

function addChannel(facts: Facts, rule: string): void {
  if (facts.allChannels) throw SHADOWED_CHANNELS;
  const pattern = rule.slice(1);
  if (hasSpace(pattern)) throw BAD_RULE;
  facts.channels.set(pattern, matcherOf(pattern));
}
