/**
 * The arguments of a command as COMMAND DOCS tells of them, out of a line such as `key [COUNT count:integer] [order:(ASC | DESC)]`:
 *
 *   name  name:TYPE          an argument; without a type it is a string, or of the type that is its name (`key`, `pattern`)
 *   TOKEN                    a word that is sent as it is; before an argument it belongs to it: `COUNT count:integer`
 *   name:(a | b)             one of several
 *   name:<a b>               a block of arguments that belong together
 *   [a]                      may be missing
 *   a...                     may come several times; `TOKEN... a`: each time with the token
 *   a@7.0.0  a~7.0.0         since which version of Redis; up to which it was the way
 *
 * Lines are read when somebody asks: a start has no time for it.
 */

const TYPES = ["string", "integer", "double", "key", "pattern", "unix-time", "pure-token", "oneof", "block"] as const;
export type ArgumentType = (typeof TYPES)[number];

/** In the order in which COMMAND DOCS gives them. */
export type ArgumentFlag = "optional" | "multiple" | "multiple_token";

export interface Argument {
  name: string;
  type: ArgumentType;
  /** Of a key: which of the command's key specs finds it. */
  keySpec?: number;
  token?: string;
  since?: string;
  deprecatedSince?: string;
  flags: ArgumentFlag[];
  /** Of `oneof` and `block`. */
  arguments?: Argument[];
}

/** A word, or something that stands for itself. */
const PIECE = /\.\.\.|[[\]()<>|]|[@~][0-9.]+|[^\s[\]()<>|@~.]+/g;
const TOKEN = /^[A-Z][A-Z0-9-]*$/;
const CLOSING = { "(": ")", "<": ">" } as const;

/** The arguments that a line of syntax tells of. Throws where it is none: that is a mistake in the table. */
export function parseSyntax(line: string): Argument[] {
  return new SyntaxReader(line).all();
}

class SyntaxReader {
  readonly #line: string;
  readonly #pieces: readonly string[];
  #at = 0;
  #keys = 0;

  constructor(line: string) {
    this.#line = line;
    this.#pieces = line.match(PIECE) ?? [];
  }

  all(): Argument[] {
    const list = this.#list();
    if (this.#at < this.#pieces.length) this.#fail();
    return list;
  }

  get #next(): string | undefined {
    return this.#pieces[this.#at];
  }

  /** Goes on behind `piece` where that comes next. */
  #takes(piece: string): boolean {
    const isNext = this.#next === piece;
    if (isNext) this.#at++;
    return isNext;
  }

  #expect(piece: string): void {
    if (!this.#takes(piece)) this.#fail();
  }

  /** Up to what closes it. */
  #list(): Argument[] {
    const list: Argument[] = [];
    while (this.#next === "[" || this.#isWord(this.#next)) list.push(this.#argument());
    return list;
  }

  #argument(): Argument {
    if (!this.#takes("[")) return this.#required();
    const argument = this.#argument();
    this.#expect("]");
    argument.flags.unshift("optional");
    return argument;
  }

  #required(): Argument {
    const word = this.#word();
    if (!TOKEN.test(word)) return this.#suffixed(this.#named(word));
    const isRepeated = this.#takes("...");
    // Behind it come its argument's name, or another token.
    if (!this.#isWord(this.#next) || TOKEN.test(this.#next)) {
      return this.#suffixed({ name: word.toLowerCase(), type: "pure-token", token: word, flags: [] });
    }
    const argument = { ...this.#named(this.#word()), token: word };
    if (isRepeated) argument.flags.push("multiple", "multiple_token");
    return this.#suffixed(argument);
  }

  /** `word` is a name, and the argument's type where it has one. */
  #named(word: string): Argument {
    const open = this.#next;
    if (word.endsWith(":") && (open === "(" || open === "<")) return this.#compound(word.slice(0, -1), open);
    const colon = word.lastIndexOf(":");
    // A colon may belong to the name: `ip:port`.
    const named = TYPES.find((type) => type === word.slice(colon + 1));
    const name = colon >= 0 && named !== undefined ? word.slice(0, colon) : word;
    const type = named ?? "string";
    return type === "key" ? { name, type, keySpec: this.#keys++, flags: [] } : { name, type, flags: [] };
  }

  #compound(name: string, open: keyof typeof CLOSING): Argument {
    this.#expect(open);
    const list = open === "<" ? this.#list() : [this.#argument()];
    while (open === "(" && this.#takes("|")) list.push(this.#argument());
    this.#expect(CLOSING[open]);
    return { name, type: open === "(" ? "oneof" : "block", flags: [], arguments: list };
  }

  #suffixed(argument: Argument): Argument {
    if (this.#takes("...")) argument.flags.push("multiple");
    const since = this.#version("@");
    if (since !== undefined) argument.since = since;
    const deprecatedSince = this.#version("~");
    if (deprecatedSince !== undefined) argument.deprecatedSince = deprecatedSince;
    return argument;
  }

  #version(mark: string): string | undefined {
    return this.#next?.startsWith(mark) === true ? this.#pieces[this.#at++]?.slice(1) : undefined;
  }

  #word(): string {
    const word = this.#next;
    if (!this.#isWord(word)) return this.#fail();
    this.#at++;
    return word;
  }

  #isWord(piece: string | undefined): piece is string {
    return piece !== undefined && /^[A-Za-z]/.test(piece);
  }

  #fail(): never {
    throw new Error(`not a syntax at its piece ${this.#at + 1}: ${this.#line}`);
  }
}
