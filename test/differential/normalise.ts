/**
 * The replies in which two correct servers may differ, and how each is made comparable. This table is the only place
 * where the comparison looks at less than the bytes; everything not named here is compared byte for byte, errors always.
 */
import { encodeReply, type Reply, readReply } from "../support/raw-client.js";
import { restoredString } from "../support/restored-string.js";

type Normaliser = (reply: Reply) => Reply;

const replaced =
  (text: string): Normaliser =>
  (reply) => ({ ...reply, text });

/** What is told of a key that is there. */
const ofKey =
  (text: string): Normaliser =>
  (reply) =>
    isNil(reply) ? reply : { ...reply, text };

function isNil({ type, text }: Reply): boolean {
  return type === "_" || (type === "$" && text === "-1");
}

/** Of a payload that may be compressed, only what is in it. */
function dumpedString(reply: Reply): Reply {
  const isCompressed = reply.text[1] === LZF_ENCODING;
  if (isNil(reply) || (reply.text.length <= UNCOMPRESSED_DUMP_BYTES_MAX && !isCompressed)) return reply;
  const string = restoredString(Buffer.from(reply.text, "latin1")).toString("latin1");
  return { ...reply, text: `<dump of ${string}>` };
}

/** Strings of up to 20 bytes are not compressed: beside them a payload has a type, a length and its footer. */
const UNCOMPRESSED_DUMP_BYTES_MAX = 20 + 12;
const LZF_ENCODING = "\xc3";

/** Deadlines past the year 285,000: Redis counts milliseconds in 64 bits, we in the 53 of a number. */
const FAR_MS = 9e15;
const farTime =
  (unitMs: number): Normaliser =>
  (reply) =>
    Number(reply.text) * unitMs >= FAR_MS ? { ...reply, text: "<far>" } : reply;

const NORMALISERS: Readonly<Record<string, Normaliser>> = {
  /** In no order. */
  KEYS: (reply) => withItems(reply, sorted),
  /** The keys of one page are in no order. The cursor is compared: generators ask for more than there is, so it is 0. */
  SCAN: (reply) => withItems(reply, ([cursor, keys]) => (cursor && keys ? [cursor, withItems(keys, sorted)] : [])),
  /** Any key will do; that it exists is asked separately (runner.ts). */
  RANDOMKEY: (reply) => (reply.type === "$" && reply.text !== "-1" ? { ...reply, text: "<a key>" } : reply),
  /** The server's version and the connection's number. */
  HELLO: (reply) => withItems(reply, hideValuesOf(["version", "id"])),
  "CLIENT ID": replaced("<id>"),
  /** Of the connection only what the client itself has set. */
  "CLIENT INFO": (reply) => ({ ...reply, text: ownFields(reply.text) }),
  TTL: farTime(1000),
  PTTL: farTime(1),
  EXPIRETIME: farTime(1000),
  PEXPIRETIME: farTime(1),
  LASTSAVE: replaced("<time>"),
  DUMP: dumpedString,
  /** After SETBIT and BITOP Redis says raw and 1, whatever the bytes; in a transaction it counts the queue's references too. */
  "OBJECT ENCODING": ofKey("<encoding>"),
  "OBJECT REFCOUNT": ofKey("<count>"),
  /** Redis' clock for it goes in steps of about a second, and not all look-ups are uses. */
  "OBJECT IDLETIME": ofKey("<seconds>"),
  "MEMORY USAGE": ofKey("<bytes>"),
  "MEMORY DOCTOR": replaced("<text>"),
  "MEMORY MALLOC-STATS": replaced("<text>"),
  /** We have fewer commands. */
  "COMMAND COUNT": replaced("<count>"),
};

/** Which of the above apply, so that documentation and transcripts can name them. */
export const NORMALISED = Object.keys(NORMALISERS);

/**
 * The comparable form of a reply to `argv`. `queued` are the commands a MULTI has collected: EXEC's reply holds theirs.
 */
export function normalise(argv: readonly string[], raw: string, queued: readonly (readonly string[])[] = []): string {
  const name = argv[0]?.toUpperCase() ?? "";
  if (name !== "EXEC" && find(argv) === undefined) return raw;
  const parsed = readReply(Buffer.from(raw, "latin1"));
  if ("need" in parsed) throw new Error("an unfinished reply");
  return encodeReply(normaliseReply(argv, parsed.reply, queued));
}

function normaliseReply(argv: readonly string[], reply: Reply, queued: readonly (readonly string[])[]): Reply {
  if (reply.type === "-" || reply.type === "!" || (reply.type === "+" && reply.text === "QUEUED")) return reply;
  if (argv[0]?.toUpperCase() === "EXEC") {
    return withItems(reply, (items) => items.map((item, i) => normaliseReply(queued[i] ?? [], item, [])));
  }
  return find(argv)?.(reply) ?? reply;
}

function find(argv: readonly string[]): Normaliser | undefined {
  const [name = "", sub = ""] = argv.map((arg) => arg.toUpperCase());
  return NORMALISERS[`${name} ${sub}`] ?? NORMALISERS[name];
}

function withItems(reply: Reply, change: (items: readonly Reply[]) => readonly Reply[]): Reply {
  return reply.items === undefined ? reply : { ...reply, items: change(reply.items) };
}

function sorted(items: readonly Reply[]): Reply[] {
  return [...items].sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
}

function hideValuesOf(names: readonly string[]): (items: readonly Reply[]) => Reply[] {
  return (items) =>
    items.map((item, i) => (names.includes(items[i - 1]?.text ?? "") ? { ...item, text: "<hidden>" } : item));
}

function ownFields(text: string): string {
  const fields = text.trim().split(" ");
  return fields.filter((field) => /^(?:name|db|multi|user|resp)=/.test(field)).join(" ");
}
